"""Attention logits that meet neurons: relative-position logits, computed biases, gates (DESIGN section 5).

What stands on the logits gets logit nodes, one a head, however it varies over queries and keys: those are
positions of the logits, not neurons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from wsgraph.events.blocks import Learned
from wsgraph.lowering.sources import force
from wsgraph.provenance.axes import Activation, Attention, Axis, broadcast, restrict, unite_sites
from wsgraph.provenance.groups import gather_groups

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.lowering.builder import GraphBuilder, Nodes

__all__ = ["combine_logits"]

TAGS = {"sum": "reduce", "product": "gate"}
"""Tags of the edges from neurons to the logits that they are added to or multiply."""


def combine_logits(graph: GraphBuilder, left: Activation, right: Activation, kind: str) -> Activation | None:
    """An element-wise operator on attention logits and neurons that vary over queries and keys.

    Args:
        graph: the builder.
        left: first operand.
        right: second operand, of the same shape.
        kind: ``sum`` or ``product``.

    Returns:
        The logits, with a node a head; None where the operands are something else.
    """
    for logits, other in ((left, right), (right, left)):
        axis = _head_axis(logits)
        if axis is not None and _stands_on(axis, logits, other):
            return _join(graph, logits, axis, other, kind)
    return None


def _head_axis(x: Activation) -> Axis | None:
    """The axis of an activation that is nothing but logits."""
    axes = [a for a in x.axes if not a.is_sites]
    return axes[0] if len(axes) == 1 and axes[0].attention is not None else None


def _stands_on(axis: Axis, logits: Activation, other: Activation) -> bool:
    """Whether the other operand's neurons vary over the logits' positions, and not only along heads."""
    if not other.nodes or any(a.attention is not None for a in other.axes):
        return False
    positions = {d for a in (*logits.sites, *other.sites) for d in a.dims}
    dims = {d for a in other.nodes for d in a.dims}
    if dims <= set(axis.dims):
        return axis.pending
    return dims <= set(axis.dims) | positions


def _join(graph: GraphBuilder, logits: Activation, axis: Axis, other: Activation, kind: str) -> Activation:
    tables = [(TAGS[kind], _by_head(axis, met)) for met in other.nodes]
    assert axis.attention is not None
    if axis.pending:
        attention = Attention(axis.attention.sources, [*axis.attention.gates, *tables])
        whole = replace(axis, attention=attention)
        forced = force(graph, replace(logits, axes=(whole,))).axes[0]
        # The neurons reach the values through the logits' nodes, not past them.
        new, block = replace(forced, attention=axis.attention), graph.blocks[-1]
    else:
        new, block = _new_logits(graph, axis, tables)
    return Activation(logits.shape, (*unite_sites(logits, other), new), fresh=block)


def _by_head(axis: Axis, met: Axis) -> Tensor:
    """The neurons ``[n_heads, n]`` that each head's logits meet, heads by ascending label."""
    dims = sorted({*axis.dims, *met.dims})
    heads, neurons = (t.reshape(-1) for t in broadcast([restrict(a.labels, dims) for a in (axis, met)]))
    present = heads >= 0
    rank = torch.unique(heads[present], return_inverse=True)[1]
    return gather_groups(rank, neurons[present].unsqueeze(1))


def _new_logits(graph: GraphBuilder, axis: Axis, tables: list[tuple[str, Tensor]]) -> tuple[Axis, Nodes]:
    """Logit nodes that follow others, one each."""
    ids = axis.ids()
    block = graph.add_nodes(len(ids), role="logits")
    graph.one_to_one(ids, block, Learned("residual", 1.0))
    for tag, table in tables:
        graph.learned(table, block, tag)
    small = axis.small()
    labels = (small >= 0) * (torch.searchsorted(ids, small.contiguous()) + block.base + 1) - 1
    return replace(axis.relabel(labels), attention=axis.attention_of(ids)), block
