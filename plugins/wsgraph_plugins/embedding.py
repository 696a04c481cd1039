"""Embedding tables: linear layers from one-hot inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.events.blocks import Pattern
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_embedding(op: Operation, graph: LoweringGraph) -> Activation:
    """+V vocabulary (or positions, where the rows are picked by constants), +E dense."""
    table = op.state(op.argument("weight"))
    if not isinstance(table, ParamValue):
        return _fixed_table(op)
    rows, width = table.shape
    picked = op.state(op.argument("indices"))
    role = "position" if isinstance(picked, Constant) else "input"
    words = graph.add_nodes(rows, role=role)
    nodes = graph.add_nodes(width)
    feature = table.apply(lambda t: t.transpose(0, 1).unsqueeze(-1))
    graph.add_edge_block(words.ids, nodes, feature, Pattern.DENSE, (width, rows, 1), timed=False)
    shape = op.shape
    last = len(shape) - 1
    axes = [Axis(arange_along(shape, last, nodes.base))]
    if isinstance(picked, Activation):
        axes += [s.with_labels(s.labels.unsqueeze(-1).expand(shape)) for s in picked.sites]
    else:
        axes += [Axis(arange_along(shape, d), Space(shape[d])) for d in range(last) if shape[d] > 1]
    return Activation(shape, tuple(axes), fresh=nodes)


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
