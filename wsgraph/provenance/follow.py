"""Following one axis through a data-movement operator, on as few labels as possible.

The rule is always the same, run the operator on the labels. Labels mostly do not vary along most
dimensions, and what an operator does to a dimension along which they do not vary cannot be seen in them:
those dimensions are cut down to size 1 first where the operator allows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.provenance.axes import Axis, restrict
from wsgraph.provenance.moves import PADDING, padded_dims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from wsgraph.ir.graph import Op

__all__ = ["follow"]

_RESHAPES = frozenset(
    f"aten.{name}"
    for name in (
        "view",
        "_unsafe_view",
        "reshape",
        "_reshape_alias",
        "flatten",
        "unflatten",
    )
)
_ONE_DIM = frozenset({"aten.slice", "aten.narrow", "aten.index_select", "aten.repeat_interleave"})
_SEVERAL_DIMS = frozenset({"aten.roll", "aten.flip"})
_VIEWS = frozenset(
    f"aten.{name}"
    for name in (
        "permute",
        "transpose",
        "swapaxes",
        "swapdims",
        "movedim",
        "moveaxis",
        "t",
        "numpy_T",
        "unsqueeze",
        "squeeze",
        "expand",
    )
)
"""What only renames, adds and removes dimensions."""


def follow(op: Op, position: int, axis: Axis, shape: tuple[int, ...], move: Callable[[Tensor], Any]) -> Axis:
    """The axis after the operator.

    Args:
        op: a data-movement operator.
        position: which of its results is wanted.
        axis: an axis of its first argument.
        shape: the first argument's shape.
        move: what does to labels what the operator does to its argument.

    Returns:
        The axis with labels of the result's shape. New elements along a dimension in which neurons vary
        (padded channels) are labelled -1; padding positions leaves neurons as they are.
    """
    target = op.outputs[position].shape
    if op.key in _RESHAPES:
        return _reshape(axis, shape, target)
    if op.key in _VIEWS:
        labels = move(axis.small().expand(shape))
        return axis.with_labels(labels, _strided(labels))
    touched = _touched(op, len(shape))
    if touched is not None and not touched & set(axis.dims):
        small = restrict(axis.labels, axis.dims)
        return axis.with_labels(small.expand(target), axis.dims)
    return axis.with_labels(move(axis.labels))


def _touched(op: Op, rank: int) -> set[int] | None:
    """The dimensions that the operator rearranges, where it leaves the others exactly as they are."""
    arguments = op.arguments
    if op.key in _ONE_DIM and isinstance(arguments.get("dim"), int):
        return {arguments["dim"] % rank}
    if op.key in _SEVERAL_DIMS and arguments.get("dims"):
        return {d % rank for d in arguments["dims"]}
    if op.key in PADDING:
        return padded_dims(arguments["pad"], rank)
    return None


def _strided(labels: Tensor) -> tuple[int, ...]:
    """The dimensions along which labels differ that were expanded along all others."""
    return tuple(d for d, (n, s) in enumerate(zip(labels.shape, labels.stride(), strict=True)) if n > 1 and s)


def _reshape(axis: Axis, shape: tuple[int, ...], target: tuple[int, ...]) -> Axis:
    labels = axis.labels
    if 0 in shape or not shape or not target:
        return axis.with_labels(labels.reshape(target))
    before, after, known = list(shape), list(target), True
    dims = []
    for old, new in _groups(shape, target):
        if set(old) & set(axis.dims):
            wide = [d for d in new if target[d] > 1]
            known = known and len(wide) == 1  # along which of several they differ has to be looked up
            dims.extend(wide)
            continue
        for d in old:
            before[d] = 1
        for d in new:
            after[d] = 1
    small = labels.as_strided(before, labels.stride()).reshape(after)
    return axis.with_labels(small.expand(target), tuple(dims) if known else None)


def _groups(shape: tuple[int, ...], target: tuple[int, ...]) -> Iterator[tuple[list[int], list[int]]]:
    """Smallest runs of dimensions with equal numbers of elements on both sides."""
    i, j = 0, 0
    while i < len(shape) or j < len(target):
        old: list[int] = []
        new: list[int] = []
        a = b = 1
        while not (old or new) or a != b:
            if (a <= b and i < len(shape)) or j >= len(target):
                a *= shape[i]
                old.append(i)
                i += 1
            else:
                b *= target[j]
                new.append(j)
                j += 1
        yield old, new
