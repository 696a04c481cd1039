"""Element-wise operators on an activation and a parameter: scales, shifts, position tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned, Pattern
from wsgraph.lowering.alignment import covers_block, residual_span
from wsgraph.lowering.sources import force, join_axes, position_labels
from wsgraph.provenance.axes import (
    Activation,
    Axis,
    Space,
    arange_along,
    broadcast,
    broadcast_shape,
    distinct_rows,
    restrict,
    varying_dims,
)
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.builder import GraphBuilder, Nodes

__all__ = ["add_parameter", "as_activation", "scale_by_parameter", "spread_positions"]


@dataclass(eq=False, slots=True)
class _Meeting:
    """A parameter and the node axis that it acts on, both cut down to the dimensions that matter."""

    activation: Activation
    axis: Axis
    labels: Tensor
    elements: Tensor
    site_dims: tuple[int, ...]


def scale_by_parameter(graph: GraphBuilder, x: Activation, p: ParamValue) -> Activation:
    """Multiply (divide, raise, ...): a node for each pair of neuron and parameter element, +E one_to_one.

    A parameter that varies over neurons only gives a node a neuron; one that varies over sites too makes
    the neuron-site pairs nodes of their own (App. F.2's 48 input nodes).
    """
    out, block, sources, positions = spread_positions(graph, x, p.shape)
    sources = graph.or_constant(sources)  # without an edge from padding its parameters would be lost
    graph.one_to_one(sources, block, p.reshape(-1).select(0, positions), via=x.via)
    return out


def spread_positions(
    graph: GraphBuilder, x: Activation, layout: tuple[int, ...]
) -> tuple[Activation, Nodes, Tensor, Tensor]:
    """Nodes for an element-wise layer with several parameters of one layout, such as a normalisation.

    Args:
        graph: the builder.
        x: what the layer acts on.
        layout: the parameters' shape, broadcast against ``x``.

    Returns:
        The layer's result; its nodes; the neuron that feeds each, ``[n]``; and the flat position in the
        layout that each takes its parameters from, ``[n]``.
    """
    met = _meet(graph, x, ParamValue.whole("", layout))
    rank, first = distinct_rows([met.labels, met.elements])
    block = graph.add_nodes(len(first), role=_role(met.axis))
    sources, positions = (t.reshape(-1)[first] for t in (met.labels, met.elements))
    attention = met.axis.attention_of(sources)
    new = Axis((rank + block.base).expand(met.activation.shape), attention=attention)
    _note_places(graph, met, block.ids, first)
    return _replace_axis(met, new, block), block, sources, positions


def _note_places(graph: GraphBuilder, met: _Meeting, ids: Tensor, first: Tensor) -> None:
    """Nodes that were one neuron at several positions of the input differ by what lies there."""
    told = {d for site in met.activation.sites for d in site.dims}
    shape = met.labels.shape
    along = [d for d in met.site_dims if d in told and shape[d] > 1]
    if not along:
        return
    places = torch.stack([arange_along(shape, d).expand(shape).reshape(-1)[first] for d in along], 1)
    graph.placed.append((ids, places))


def add_parameter(
    graph: GraphBuilder, x: Activation, p: ParamValue, table_dim: int | None = None
) -> Activation:
    """Add (subtract): a bias where the parameter varies over neurons only, else a position table.

    Args:
        graph: the builder.
        x: the activation.
        p: the parameter, broadcast against it.
        table_dim: a dimension that holds positions even if it has only one (a class token).
    """
    met = _meet(graph, x, p, table_dim)
    if met.site_dims:
        return _add_table(graph, met, p)
    rank, first = distinct_rows([met.labels])
    if len(distinct_rows([met.labels, met.elements])[1]) > len(first):
        return _add_to_repeated(graph, x, p)
    feature = p.from_elements(met.elements.reshape(-1)[first])
    ids = met.labels.reshape(-1)[first]
    block = met.activation.fresh
    if block is not None and covers_block(met.activation, met.axis) and "bias" not in block.features:
        block.features["bias"] = feature.select(0, torch.argsort(ids)) if len(ids) > 1 else feature
        return met.activation
    block = graph.add_nodes(len(first), role=_role(met.axis), bias=feature)
    graph.one_to_one(ids, block, Learned("identity"), via=x.via)
    attention = met.axis.attention_of(ids)
    return _replace_axis(met, Axis((rank + block.base).expand(x.shape), attention=attention), block)


def _add_to_repeated(graph: GraphBuilder, x: Activation, p: ParamValue) -> Activation:
    """A bias over neurons that lie at several places (CReLU): a node for each pair."""
    out, block, sources, positions = spread_positions(graph, x, p.shape)
    block.features["bias"] = p.reshape(-1).select(0, positions)
    graph.one_to_one(sources, block, Learned("identity"), via=x.via)
    return out


def _add_table(graph: GraphBuilder, met: _Meeting, p: ParamValue) -> Activation:
    """Position nodes, and dense edges from them into the operand's block or a sum block."""
    x, axis = met.activation, met.axis
    block, labels = x.fresh, met.labels
    if block is None or not covers_block(x, axis):
        rank, first = distinct_rows([met.labels])
        ids = met.labels.reshape(-1)[first]
        block = graph.add_nodes(len(first), role=_role(axis, "sum"))
        graph.one_to_one(ids, block, Learned("residual", float(residual_span(graph, block, ids))), via=x.via)
        labels = rank + block.base
        axis = Axis(labels.expand(x.shape), attention=axis.attention_of(ids))
    table = _table(met, labels, block)
    # A table on attention logits belongs to the attention's timestamp, whatever the depth.
    t = max(block.t - 1, 0) if axis.attention is not None else 0
    positions = graph.add_nodes(table.shape[1], role="position", t=t)
    feature = p.from_elements(table.unsqueeze(-1))
    graph.add_edge_block(positions.ids, block, feature, Pattern.DENSE, (*table.shape, 1), timed=False)
    return _replace_axis(met, axis, block).told_apart(met.site_dims)


def _table(met: _Meeting, labels: Tensor, block: Nodes) -> Tensor:
    """Flat element numbers ``[n_nodes, n_positions]``; positions that share their elements are one node."""
    sites = [d for d in range(labels.dim()) if d in met.site_dims]
    nodes = [d for d in range(labels.dim()) if d not in met.site_dims]
    rows, columns = labels.permute(*nodes, *sites), met.elements.permute(*nodes, *sites)
    n_sites = 1
    for d in sites:
        n_sites *= labels.shape[d]
    rows, columns = rows.reshape(-1, n_sites), columns.reshape(-1, n_sites)
    order = torch.argsort(rows[:, 0])
    by_node = columns[order]
    distinct = torch.unique(rows[order, 0], return_inverse=True)[1]
    picked = torch.empty(block.size, dtype=torch.int64)
    picked[distinct] = torch.arange(len(distinct))
    by_node = by_node[picked]
    _, first = distinct_rows([by_node[0], by_node[-1]])
    # In the table's own order, whatever the order in which positions meet its rows.
    columns = by_node[:, first]
    return columns[:, columns[0].argsort(stable=True)]


def _meet(graph: GraphBuilder, x: Activation, p: ParamValue, table_dim: int | None = None) -> _Meeting:
    shape = broadcast_shape(x.shape, p.shape)
    x, p = x.expanded(shape), p.expand(*shape)
    p_dims = _parameter_dims(p)
    x = force(graph, x, p_dims)
    axis = _acted_on(graph, x, p_dims)
    dims = tuple(sorted({*axis.dims, *p_dims}))
    labels, elements = broadcast(
        [restrict(axis.labels, dims), p.apply(lambda t: restrict(t, dims)).elements()]
    )
    sites = tuple(d for d in range(len(shape)) if (d in p_dims and d not in axis.dims) or d == table_dim)
    return _Meeting(x, axis, labels, elements, sites)


def _parameter_dims(p: ParamValue) -> tuple[int, ...]:
    if p.view is not None:
        return tuple(d for d, (n, s) in enumerate(zip(p.shape, p.view.stride(), strict=True)) if n > 1 and s)
    return varying_dims(p.elements())


def _acted_on(graph: GraphBuilder, x: Activation, p_dims: tuple[int, ...]) -> Axis:
    """The node axis that the parameter varies with; the newest where it varies with none."""
    axes = [a for a in x.nodes if set(a.dims) & set(p_dims)]
    if len(axes) > 1:
        return join_axes(graph, axes)
    if axes:
        return axes[0]
    if x.nodes:
        return max(x.nodes, key=Axis.newest)
    return Axis(position_labels(graph, x, p_dims or range(len(x.shape))))


def _replace_axis(met: _Meeting, new: Axis, block: Nodes) -> Activation:
    """The activation with new nodes in place of the axis that was acted on."""

    def absorbed(site: Axis) -> bool:
        # Positions along which the parameter made neuron-site pairs are part of the nodes now.
        return site.is_sites and set(site.dims) <= set(new.dims) - set(met.axis.dims)

    kept = [a for a in met.activation.axes if a is not met.axis and not (a.dims and absorbed(a))]
    return replace(met.activation, axes=(*kept, new), via=(), fresh=block)


def _role(axis: Axis, role: str = "hidden") -> str:
    return "logits" if axis.attention is not None else role


def as_activation(graph: GraphBuilder, p: ParamValue, dims: tuple[int, ...]) -> Activation:
    """A parameter used as an activation (learned queries): a linear layer from one-hot positions.

    Args:
        graph: the builder.
        p: the parameter.
        dims: the dimensions along which its neurons lie; the others are positions.
    """
    rank = len(p.shape)
    dims = tuple(sorted(d % rank for d in dims))
    others = [d for d in range(rank) if d not in dims]
    n_nodes, n_sites = 1, 1
    for d, n in enumerate(p.shape):
        if d in dims:
            n_nodes *= n
        else:
            n_sites *= n
    table = p.apply(lambda t: t.permute(*dims, *others)).reshape(n_nodes, n_sites, 1)
    block = graph.add_nodes(n_nodes, role="hidden")
    positions = graph.add_nodes(n_sites, role="position")
    graph.add_edge_block(positions.ids, block, table, Pattern.DENSE, (n_nodes, n_sites, 1), timed=False)
    local = torch.zeros((), dtype=torch.int64)
    for d in dims:
        local = local * p.shape[d] + arange_along(p.shape, d)
    axes = [Axis((local + block.base).expand(p.shape))]
    axes += [Axis(arange_along(p.shape, d), Space(p.shape[d])) for d in others if p.shape[d] > 1]
    return Activation(p.shape, tuple(axes), fresh=block)
