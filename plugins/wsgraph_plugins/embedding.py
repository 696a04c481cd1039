"""Embedding tables: linear layers from one-hot inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.events.blocks import Pattern
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.builder import Nodes
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_embedding(op: Operation, graph: LoweringGraph) -> Activation:
    """``aten.embedding``: a row of the table for each index."""
    table = op.state(op.argument("weight"))
    if not isinstance(table, ParamValue):
        return _fixed_table(op)
    return look_up(op, graph, table, op.argument("indices"))


def look_up(op: Operation, graph: LoweringGraph, table: ParamValue, indices: Any) -> Activation:
    """+V vocabulary (or positions, where the rows are picked by constants), +E dense.

    Args:
        op: the operator.
        graph: the graph.
        table: ``[rows, *width]``.
        indices: which rows; the result's last dimensions are the table's width.
    """
    width = table.shape[1:]
    picked = op.state(indices)
    last = len(op.shape) - len(width)
    nodes = _table_layer(graph, table, "position" if isinstance(picked, Constant) else "input")
    local = torch.arange(nodes.size).view(width) + nodes.base
    axes = [Axis(local.expand(op.shape))]
    if isinstance(picked, Activation):
        spread = (*op.shape[:last], *(1,) * len(width))
        axes += [s.with_labels(s.labels.reshape(spread).expand(op.shape)) for s in picked.sites]
    else:
        axes += [Axis(arange_along(op.shape, d), Space(op.shape[d])) for d in range(last) if op.shape[d] > 1]
    return Activation(op.shape, tuple(axes), fresh=nodes)


def _table_layer(graph: LoweringGraph, table: ParamValue, role: str) -> Nodes:
    """Nodes of the rows, and the layer that they feed."""
    rows = table.shape[0]
    words = graph.add_nodes(rows, role=role)
    nodes = graph.add_nodes(math.prod(table.shape[1:]))
    feature = table.reshape(rows, nodes.size).apply(lambda t: t.transpose(0, 1).unsqueeze(-1))
    graph.add_edge_block(words.ids, nodes, feature, Pattern.DENSE, (nodes.size, rows, 1), timed=False)
    return nodes


def lower_embedding_bag(op: Operation, graph: LoweringGraph) -> tuple[Activation, ...]:
    """Sums or means of rows, each perhaps with a weight of its own: a row for each bag.

    Raises:
        LoweringError: the table is computed from the model's input.
    """
    nodes = _table_layer(graph, op.required_param("weight"), "input")
    out = Activation(op.shape, (Axis(arange_along(op.shape, 1, nodes.base)),), fresh=nodes)
    weights = op.state(op.argument("per_sample_weights"))
    if isinstance(weights, Activation) and weights.nodes:
        total = graph.reduce(weights, (), (1, 1), "sum")
        out = graph.combine(out, total.expanded(op.shape), "product")
    return (out, *(Activation(value.shape, ()) for value in op.op.outputs[1:]))


def _fixed_table(op: Operation) -> Activation:
    """A table of constants (sinusoids): positions go in and no neuron comes out."""
    picked = op.as_activation(op.argument("indices"))
    return Activation(
        op.shape, tuple(s.with_labels(s.labels.unsqueeze(-1).expand(op.shape)) for s in picked.sites)
    )


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Embedding tables."""
    register("aten.embedding", lower_embedding)
    register("aten.embedding_bag", lower_embedding_bag)
