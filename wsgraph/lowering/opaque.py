"""``--unsupported opaque``: an unknown operator as one learned all-to-all block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.events.blocks import Pattern
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.ir.graph import Op
    from wsgraph.lowering.builder import GraphBuilder, Nodes
    from wsgraph.lowering.operation import State

__all__ = ["lower_opaque"]


def lower_opaque(graph: GraphBuilder, op: Op, states: list[State]) -> list[State]:
    """Every neuron that goes in to every neuron that comes out, and the parameters kept as opaque edges.

    The output's neurons are taken to lie along its last dimension (dimension 1 of a feature map).
    """
    out: list[State] = []
    ids = [a.ids() for s in states if isinstance(s, Activation) for a in s.nodes]
    for k, value in enumerate(op.outputs):
        dim = 1 if len(value.shape) >= 4 else len(value.shape) - 1
        block = graph.add_nodes(value.shape[dim] if value.shape else 1, opaque=True)
        if ids:
            graph.learned(torch.unique(torch.cat(ids)).unsqueeze(0), block, "opaque", ticks=1, opaque=True)
        if k == 0:
            for state in states:
                if isinstance(state, ParamValue):
                    _keep_parameter(graph, state, block)
        axes = [Axis(arange_along(value.shape, dim, block.base))] if value.shape else []
        axes += [
            Axis(arange_along(value.shape, d), Space(n))
            for d, n in enumerate(value.shape)
            if d not in (0, dim) and n > 1
        ]
        out.append(Activation(value.shape, tuple(axes)))
    return out


def _keep_parameter(graph: GraphBuilder, p: ParamValue, block: Nodes) -> None:
    """One edge a parameter element, from a node that stands for the parameter, dealt out over the block."""
    n = p.layout.numel()
    holder = graph.add_nodes(1, role="parameter", opaque=True)
    coo = torch.stack([torch.zeros(n, dtype=torch.int64), torch.arange(n) % block.size])
    graph.add_edge_block(
        holder.ids,
        block,
        p.reshape(n, 1),
        Pattern.INDEXED,
        (n, 1),
        ticks=1,
        coo=coo,
        timed=False,
        opaque=True,
    )
