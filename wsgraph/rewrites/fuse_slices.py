"""Neighbouring slices that are put together again are one slice, or the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op, Value

__all__ = ["fuse_slices"]

aten = torch.ops.aten


def fuse_slices(graph: Graph) -> Graph:
    """``cat([x[:a], x[a:b], x[b:c]])`` to ``x[:c]``, along whatever dimension."""
    return replace_each(graph, _neighbours)


def _neighbours(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.cat" or len(op.args[0]) < 2:
        return None
    dim = (op.args[1] if len(op.args) > 1 else 0) % len(op.outputs[0].shape)
    parts = [_range(value, dim, matcher) for value in op.args[0]]
    whole, start, end = parts[0]
    for other, begin, stop in parts[1:]:
        if other is not whole or begin != end:
            return None
        end = stop
    return aten.slice.Tensor, "aten.slice", (whole, dim, start, end)


def _range(value: Value, dim: int, matcher: Matcher) -> tuple[Value, int, int]:
    """What a value is a slice of along a dimension, slices of slices followed; its start and end there."""
    start, size = 0, value.shape[dim]
    while (op := matcher.made_by(value, "aten.slice")) is not None:
        source, given = op.args[0], op.arguments
        if given["dim"] % len(source.shape) != dim or given["step"] != 1:
            break
        start += slice(given["start"], given["end"]).indices(source.shape[dim])[0]
        value = source
    return value, start, start + size
