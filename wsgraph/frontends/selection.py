"""Tracing a forward that selects by value, such as a detector: as if everything were selected.

How many boxes exceed a threshold is known only at run time, and torch.export stops at the first shape that
depends on it. Which neurons there are and how they are connected does not depend on how many positions are
kept, so the forward is traced with selections that keep all of them.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from wsgraph.frontends.symbolic import concrete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["selecting_everything"]


class _KeepsEverything(TorchFunctionMode):
    """``nonzero``, ``where``, boolean masks: every position is taken; splits by the data are equal."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        arguments = dict(kwargs or {})
        if func in (torch.nonzero, Tensor.nonzero):
            positions = _positions(args[0])
            return positions if arguments.get("as_tuple") else torch.stack(positions, 1)
        if func is torch.where and len(args) == 1 and not arguments:
            return _positions(args[0])
        if func in (torch.masked_select, Tensor.masked_select):
            kept, mask = torch.broadcast_tensors(args[0], args[1])  # type: ignore[no-untyped-call]  # torch's
            del mask
            return kept.reshape(-1)
        if func in (torch.split, Tensor.split) and not isinstance(args[1], int):
            args = (args[0], _dealt(args[0], args[1], *args[2:], **arguments), *args[2:])
        if func is Tensor.__getitem__:
            args = (args[0], _without_masks(args[1]))
        return func(*args, **arguments)


def _dealt(x: Tensor, sizes: Sequence[Any], dim: int = 0) -> list[int]:
    """Sizes that the data decide (rows sorted by expert) become equal ones, as far as they can be."""
    if all(concrete(size) is not None for size in sizes):
        return list(sizes)
    rows, parts = x.shape[dim], len(sizes)
    return [rows // parts + (k < rows % parts) for k in range(parts)]


def _positions(mask: Tensor) -> tuple[Tensor, ...]:
    """All positions of a tensor, row-major: one tensor ``[numel]`` a dimension."""
    flat = torch.arange(mask.numel(), device=mask.device)
    out = []
    for size in reversed(mask.shape):
        out.append(flat % size)
        flat = flat // size
    return tuple(reversed(out))


def _without_masks(index: Any) -> Any:
    """An index whose boolean masks are replaced by all of their positions."""
    if isinstance(index, Tensor) and index.dtype is torch.bool and index.dim():
        return _positions(index)
    if not isinstance(index, tuple):
        return index
    out: list[Any] = []
    for part in index:
        replaced = _without_masks(part)
        out.extend(replaced if isinstance(part, Tensor) and isinstance(replaced, tuple) else (replaced,))
    return tuple(out)


def _keep_boxes(boxes: Tensor, *_: object, **__: object) -> Tensor:
    """Non-maximum suppression that suppresses nothing, ``[n]``."""
    return torch.arange(boxes.shape[0], device=boxes.device)


@contextlib.contextmanager
def selecting_everything() -> Iterator[None]:
    """Context in which selections by value keep everything.

    torchvision's suppression of boxes is a compiled operator behind a check that its wheel fits this torch,
    so its Python functions are replaced, where torchvision is loaded.
    """
    boxes = sys.modules.get("torchvision.ops.boxes")
    with contextlib.ExitStack() as stack:
        for name in ("nms", "batched_nms") if boxes is not None else ():
            stack.enter_context(patch.object(boxes, name, _keep_boxes))
        stack.enter_context(_KeepsEverything())
        yield
