"""Who feeds a contraction: the neurons along an activation's contracted dimensions (DESIGN section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned
from wsgraph.provenance.axes import Activation, Attention, Axis, broadcast, distinct_rows, restrict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph.lowering.builder import GraphBuilder, Nodes

__all__ = ["Sources", "find_sources", "force", "join_axes", "link", "position_labels"]


ROLES = {"query": "q", "key": "k"}
"""Roles of the neurons that an attention contracts, by the tags of their edges."""


@dataclass(eq=False, slots=True)
class Sources:
    """The source neurons of a contraction.

    Attributes:
        activation: the activation, its logits forced and its positions turned into nodes.
        dims: contracted dimensions, ascending.
        axis: the node axis that is consumed.
        ids: global node numbers ``[groups, n_positions]``: a row for each kept part of the axis (the heads
            of a layer shared by heads; one row for an ordinary layer), a column for each position along
            the contracted dimensions, row-major.
        rank: row of ``ids`` that each kept position uses; the activation's shape, contracted
            dimensions cut to size 1.
        order: ``[n_positions]`` sort key of the positions that share a neuron (virtual vertices).
    """

    activation: Activation
    dims: tuple[int, ...]
    axis: Axis
    ids: Tensor
    rank: Tensor
    order: Tensor

    @property
    def groups(self) -> int:
        """Number of rows."""
        return len(self.ids)

    @property
    def ticks(self) -> int:
        """Layers on attention logits share their attention's timestamp; all others tick once."""
        return 0 if self.axis.attention is not None else 1


def find_sources(graph: GraphBuilder, x: Activation, dims: Sequence[int]) -> Sources:
    """The neurons along ``dims`` of an activation.

    A node axis along the contracted dimensions is the source, and site axes that vary with it are virtual
    vertices (App. F.1). Where only site axes vary, the positions themselves become nodes.
    """
    dims = tuple(sorted(d % len(x.shape) for d in dims))
    x = force(graph, x, dims)
    axis = _consumed_axis(graph, x, dims)
    kept = [d for d in axis.dims if d not in dims]
    small = restrict(axis.labels, (*dims, *axis.dims))
    moved = small.permute(*[d for d in range(small.dim()) if d not in dims], *dims)
    n_positions = 1
    for d in dims:
        n_positions *= x.shape[d]
    rows = graph.or_constant(moved.reshape(-1, n_positions))
    rank, first = _row_ranks(rows) if kept else (torch.zeros(1, dtype=torch.int64), torch.zeros(1).long())
    head = [1 if d in dims else small.shape[d] for d in range(small.dim())]
    target = [1 if d in dims else n for d, n in enumerate(x.shape)]
    rank = rank.view(head).expand(target)
    return Sources(x, dims, axis, rows[first], rank, _site_order(x, dims, n_positions))


def _row_ranks(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Number of each distinct row, and where each first appears."""
    rank, first = distinct_rows([rows[:, 0], rows[:, -1]])
    if bool((rows[first][rank] == rows).all()):
        return rank, first
    return distinct_rows(list(rows.unbind(1)))


def _consumed_axis(graph: GraphBuilder, x: Activation, dims: tuple[int, ...]) -> Axis:
    # A single neuron (an attention's score) takes part at every position.
    axes = [a for a in x.nodes if not a.dims or set(a.dims) & set(dims)]
    if len(axes) > 1:
        return join_axes(graph, axes)
    return axes[0] if axes else Axis(position_labels(graph, x, dims))


def _site_order(x: Activation, dims: tuple[int, ...], n_positions: int) -> Tensor:
    """Row-major order of the sites met along the contracted dimensions."""
    key = torch.zeros(n_positions, dtype=torch.int64)
    for axis in x.sites:
        if set(axis.dims) & set(dims):
            small = restrict(axis.labels, dims)
            labels = small.permute(*[d for d in range(small.dim()) if d not in dims], *dims).reshape(-1)
            if len(labels) == n_positions and axis.space is not None:
                key = key * (axis.space.size + 1) + labels
    return key


def position_labels(graph: GraphBuilder, x: Activation, dims: Sequence[int]) -> Tensor:
    """Node numbers for positions, the activation's shape; the nodes are made once for a set of positions."""
    along = [a for a in x.sites if set(a.dims) & set(dims)]
    whole = all(set(a.dims) <= set(dims) for a in along)
    if along and whole:
        rank = torch.zeros((), dtype=torch.int64)
        size = 1
        for axis in along:
            assert axis.space is not None
            rank = rank * axis.space.size + axis.small()
            size *= axis.space.size
        key: tuple[object, ...] = tuple(id(a.space) for a in along)
    else:
        local = torch.zeros((), dtype=torch.int64)
        size = 1
        for d in sorted(dims):
            view = [1] * len(x.shape)
            view[d] = x.shape[d]
            local = local * x.shape[d] + torch.arange(x.shape[d]).view(view)
            size *= x.shape[d]
        rank = local
        key = (*(id(a.space) for a in along), tuple(dims), size) if along else (id(x), tuple(dims))
    nodes = graph.position_blocks.get(key)
    if nodes is None:
        t = max((graph.time(a.ids()) for a in x.nodes), default=0)
        nodes = graph.add_nodes(size, role="position", t=t)
        graph.position_blocks[key] = nodes
        # Spaces are compared by identity: keep them alive as long as the key is.
        graph.keep_alive.extend(a.space for a in along)
        graph.keep_alive.append(x)
    return torch.where(rank >= 0, rank + nodes.base, rank).expand(x.shape)


def join_axes(graph: GraphBuilder, axes: Sequence[Axis]) -> Axis:
    """One axis for several that vary together: each combination of their neurons becomes a node."""
    dims = sorted({d for a in axes for d in a.dims})
    small = broadcast([restrict(a.labels, dims) for a in axes])
    rank, first = distinct_rows(small)
    nodes = graph.add_nodes(len(first), role="product")
    for labels in small:
        graph.one_to_one(labels.reshape(-1)[first], nodes, Learned("join"))
    return Axis((rank + nodes.base).expand(axes[0].labels.shape))


def force(graph: GraphBuilder, x: Activation, dims: Sequence[int] | None = None) -> Activation:
    """Give attention logits nodes of their own, one a head, at the attention's timestamp.

    Args:
        graph: the builder.
        x: the activation.
        dims: only where the head axis varies along these dimensions (or along none); None for always.
    """
    axes = []
    for axis in x.axes:
        if axis.pending and (dims is None or not axis.dims or set(axis.dims) & set(dims)):
            axes.append(_force_axis(graph, axis))
        else:
            axes.append(axis)
    return replace(x, axes=tuple(axes))


def _force_axis(graph: GraphBuilder, axis: Axis) -> Axis:
    assert axis.attention is not None
    small, used = axis.small(), axis.ids()
    nodes = graph.add_nodes(len(used), role="logits")
    # Of some logits (pairs picked out of all) only those are made nodes.
    attention = axis.attention.rows(used.unsqueeze(1))
    link(graph, attention, nodes)
    labels = torch.where(small >= 0, torch.searchsorted(used, small.contiguous()) + nodes.base, small)
    return Axis(labels.expand(axis.labels.shape), attention=attention)


def link(graph: GraphBuilder, attention: Attention, nodes: Nodes) -> None:
    """Learned edges from an attention's sources, group by group; they tick once, gates do not."""
    for tag, table in attention.sources:
        if tag in ROLES:
            graph.mark_role(table, ROLES[tag])
        graph.learned(table, nodes, tag, ticks=1, timed=False)
    for tag, table in attention.gates:
        graph.learned(table, nodes, tag, ticks=0, timed=False)
