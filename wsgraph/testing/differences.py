"""Comparing an operator's results before and after a change, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["disturbs", "touches"]

_ROUNDING = 1e-12
"""Vendor libraries may add up in another order when memory lies differently: a few float64 roundings."""


def touches(before: Sequence[Any], after: Sequence[Any], masks: Sequence[Tensor]) -> bool:
    """Whether any masked element differs at all: evidence that there is an influence."""
    return any(bool((_differs(b, a) & m).any()) for b, a, m in _as_traced(before, after, masks))


def disturbs(before: Sequence[Any], after: Sequence[Any], masks: Sequence[Tensor]) -> bool:
    """Whether any masked element differs by more than rounding: evidence that there should be none."""
    return any(bool((_differs_much(b, a) & m).any()) for b, a, m in _as_traced(before, after, masks))


def _as_traced(
    before: Sequence[Any], after: Sequence[Any], masks: Sequence[Tensor]
) -> Iterator[tuple[Any, Any, Tensor]]:
    """Results of the shapes that were traced; embedding_bag's counts, which hold no neurons, have others."""
    for b, a, mask in zip(before, after, masks, strict=True):
        if b.shape == mask.shape:
            yield b, a, mask


def _differs(before: Tensor, after: Tensor) -> Tensor:
    if not before.is_floating_point():
        return before != after
    return (before != after) & ~(before.isnan() & after.isnan())


def _differs_much(before: Tensor, after: Tensor) -> Tensor:
    differs = _differs(before, after)
    if not before.is_floating_point() or not bool(differs.any()):
        return differs
    scale = torch.nan_to_num(torch.maximum(before.abs(), after.abs()), posinf=0.0).max()
    return differs & ~((before - after).abs() <= _ROUNDING * scale)
