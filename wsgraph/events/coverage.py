"""Which elements of a tensor a set of views reads.

Most features read a whole tensor or a block of consecutive elements of one, whatever the order of their
dimensions: then sizes settle the question. Only what is left needs a mask, one byte an element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wsgraph.events.blocks import ParamView

__all__ = ["Interval", "consecutive_elements", "covers_all", "mark_elements"]

Interval: TypeAlias = tuple[int, int]
"""First element and the one after the last."""


def consecutive_elements(view: ParamView) -> Interval | None:
    """The elements of a view, where they are consecutive and none is read twice; else None."""
    if view.strides is None:
        return None
    if view.numel == 0:
        return (view.offset, view.offset)
    step = 1
    for stride, size in sorted(zip(view.strides, view.shape, strict=True)):
        if size == 1:
            continue
        if stride != step:
            return None
        step *= size
    return (view.offset, view.offset + step)


def covers_all(intervals: Iterable[Interval], numel: int) -> bool:
    """Whether the intervals leave none of the elements 0 to ``numel - 1`` out."""
    reached = 0
    for start, stop in sorted(intervals):
        if start > reached:
            return False
        reached = max(reached, stop)
    return reached >= numel


def mark_elements(views: Iterable[ParamView], mask: Tensor, indices: Mapping[str, Tensor]) -> None:
    """Set ``mask`` (bool ``[numel]``) where one of the views reads."""
    for view in views:
        if view.numel == 0:
            continue
        if view.index is not None:
            positions = indices[view.index].reshape(-1).long()
            mask[positions[positions >= 0]] = True
            continue
        assert view.strides is not None
        # A stride of 0 reads the same elements again, and torch will not write through it: once is enough.
        shape = [size if stride else 1 for size, stride in zip(view.shape, view.strides, strict=True)]
        torch.as_strided(mask, shape, view.strides, view.offset).fill_(value=True)
