"""A roll, written out as two slices that change places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op

__all__ = ["fuse_roll"]


def fuse_roll(graph: Graph) -> Graph:
    """``cat([x[k:], x[:k]])`` to ``roll(x, -k)``, along whatever dimension."""
    return replace_each(graph, _roll)


def _roll(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.cat" or len(op.args[0]) != 2:
        return None
    slices = [matcher.made_by(value, "aten.slice") for value in op.args[0]]
    first, second = slices
    if first is None or second is None or first.args[0] is not second.args[0]:
        return None
    x = first.args[0]
    dim = (op.args[1] if len(op.args) > 1 else 0) % len(x.shape)
    (start, end), (again, stop) = (_range(s, dim) for s in (first, second))
    if (again, end) != (0, x.shape[dim]) or start != stop:
        return None
    return torch.ops.aten.roll.default, "aten.roll", (x, [-start], [dim])


def _range(op: Op, dim: int) -> tuple[int, int]:
    """First position and end of a slice along a dimension; (-1, -1) for any other slice."""
    given = op.arguments
    size = op.args[0].shape[dim]
    if given["dim"] % len(op.args[0].shape) != dim or given["step"] != 1:
        return -1, -1
    start, end, _ = slice(given["start"], given["end"]).indices(size)
    return start, end
