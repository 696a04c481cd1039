"""Bilinear layers: a linear layer over the products of two inputs' neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.lowering.contraction import new_layer
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_bilinear(op: Operation, graph: LoweringGraph) -> Activation:
    """A node for each pair (i, j) of the two inputs' neurons; +E dense from the pairs, ``[n_out, i * j]``."""
    weight = op.required_param("weight")
    n_out, width, height = weight.shape
    left, right = op.activation("input1"), op.activation("input2")
    shape = (*left.shape[:-1], width, height)
    first = _inserted(left, -1, shape)
    pairs = graph.combine(first, _inserted(right, -2, shape), "product")
    sources = graph.sources(pairs, (-2, -1))
    nodes = new_layer(graph, sources, n_out, bias=op.param("bias"))
    graph.add_edges(sources, nodes, weight.reshape(n_out, width * height))
    return graph.output(sources, nodes, dim=-1)


def _inserted(x: Activation, dim: int, shape: tuple[int, ...]) -> Activation:
    axes = tuple(a.with_labels(a.labels.unsqueeze(dim).expand(shape)) for a in x.axes)
    return Activation(shape, axes, x.via)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """torch.nn.Bilinear."""
    register("aten.bilinear", lower_bilinear)
