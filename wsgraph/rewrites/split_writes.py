"""Writes at known places (``x[:, [0, 2]] = y``): what stands there afterwards is picked from old and new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.constants import ConstantPool
from wsgraph.ir.graph import Op, Value, ValueKind
from wsgraph.provenance.axes import broadcast_shape

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.ir.graph import Graph

__all__ = ["split_writes"]

aten = torch.ops.aten


def split_writes(graph: Graph) -> Graph:
    """``index_put`` with one index that is a constant, along one dimension, to a ``cat`` and a pick.

    An index of everything stays: detectors that are traced as if all were selected write so, where the input
    decides (:mod:`wsgraph.frontends.selection`).
    """
    if any(op.key == "aten.index_put" for op in graph.ops):
        constants = ConstantPool(graph)
        graph.ops = [part for op in graph.ops for part in _split(op, constants, graph)]
    return graph


def _split(op: Op, constants: ConstantPool, graph: Graph) -> list[Op]:
    known = _places(op, constants) if op.key == "aten.index_put" else None
    if known is None or constants.get(op.outputs[0]) is not None:
        return [op]
    dim, index = known
    x, values, (result,) = op.arguments["self"], op.arguments["values"], op.outputs
    size, count = x.shape[dim], len(index)
    places = torch.arange(size).index_copy(0, index, torch.arange(size, size + count))
    name = result.name
    picks = Value(f"{name}.places", (size,), torch.int64, ValueKind.CONSTANT, places)
    graph.tensors[picks.name] = picks
    shape = tuple(count if d == dim else n for d, n in enumerate(x.shape))
    wide = Value(f"{name}.values", shape, values.dtype)
    both = Value(
        f"{name}.both", tuple(size + count if d == dim else n for d, n in enumerate(x.shape)), x.dtype
    )
    out = Value(f"{name}.written", x.shape, x.dtype) if op.mutates else result
    parts = [
        Op("aten.expand", aten.expand.default, (values, list(shape)), {}, [wide], op.scope, aliases=True),
        Op("aten.cat", aten.cat.default, ([x, wide], dim), {}, [both], op.scope),
        Op("aten.index_select", aten.index_select.default, (both, dim, picks), {}, [out], op.scope),
    ]
    if op.mutates:
        parts.append(Op("aten.copy", aten.copy_.default, (x, out), {}, [result], op.scope, mutates=True))
    return parts


def _places(op: Op, constants: ConstantPool) -> tuple[int, Tensor] | None:
    """The dimension that is written along, and where; None where the write is none of these."""
    given: dict[str, Any] = op.arguments
    written = [d for d, index in enumerate(given["indices"]) if index is not None]
    if given["accumulate"] or len(written) != 1:
        return None
    (dim,), x, values = written, given["self"], given["values"]
    index = constants.get(given["indices"][dim])
    if index is None or index.dim() != 1 or index.dtype is torch.bool or values.dtype != x.dtype:
        return None
    index = index.cpu().long() % x.shape[dim]
    shape = tuple(len(index) if d == dim else n for d, n in enumerate(x.shape))
    if len(index.unique()) == x.shape[dim] or broadcast_shape(values.shape, shape) != shape:
        return None
    return dim, index
