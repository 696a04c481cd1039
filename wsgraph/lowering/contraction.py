"""Contraction of an activation with a parameter: linear, convolution, einsum, embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import LoweringError
from wsgraph.events.blocks import Pattern
from wsgraph.provenance.axes import Activation, Attention, Axis, arange_along, restrict
from wsgraph.provenance.params import ParamValue, as_strides

if TYPE_CHECKING:
    from wsgraph.lowering.builder import GraphBuilder, Nodes
    from wsgraph.lowering.sources import Sources

__all__ = ["connect", "connect_grouped", "new_layer", "output"]


def new_layer(
    graph: GraphBuilder, sources: Sources, n_out: int, *, bias: ParamValue | None = None, role: str = ""
) -> Nodes:
    """+V of a layer: ``n_out`` nodes for every group of sources; they share the bias."""
    groups = sources.groups
    if bias is not None and groups > 1:
        bias = bias.expand(groups, n_out).reshape(groups * n_out)
    if not role:
        role = "logits" if sources.axis.attention is not None else "hidden"
    return graph.add_nodes(groups * n_out, role=role, bias=bias)


def connect(graph: GraphBuilder, sources: Sources, dst: Nodes, weight: ParamValue) -> None:
    """+E of a layer.

    Args:
        graph: the builder.
        sources: the neurons, see :func:`wsgraph.lowering.sources.find_sources`.
        dst: the layer's nodes, ``groups * n_out``.
        weight: ``[n_out, n_positions, m]``, positions as in ``sources``; m parallel edges (kernel).

    Raises:
        LoweringError: the weight does not fit the sources.
    """
    n_out, n_positions, m = weight.shape
    if n_positions != sources.ids.shape[1]:
        raise LoweringError(
            f"{graph.op!r}: the weight contracts {n_positions} positions, the activation has "
            f"{sources.ids.shape[1]} there"
        )
    via = sources.activation.via
    layout = _layout(sources)
    if layout is None:
        _connect_indexed(graph, sources, dst, weight)
        return
    order, n_src = layout
    src = sources.ids[:, order.view(n_src, -1)[:, 0]]
    feature = _gather(weight, order.view(n_src, -1))
    m = feature.shape[-1]
    if sources.groups == 1:
        graph.add_edge_block(
            src[0], dst, feature, Pattern.DENSE, (n_out, n_src, m), ticks=sources.ticks, via=via
        )
        return
    shape = (sources.groups, n_out, n_src, m)
    graph.add_edge_block(
        src.reshape(-1), dst, feature.expand(*shape), Pattern.GROUPED, shape, ticks=sources.ticks, via=via
    )


def _layout(sources: Sources) -> tuple[Tensor, int] | None:
    """Positions ordered by neuron, then site, and the number of neurons; None if rows are irregular."""
    row = sources.ids[0]
    n_positions = len(row)
    unique, inverse, counts = torch.unique(row, return_inverse=True, return_counts=True)
    if sources.groups == 1 and len(unique) == n_positions:
        return torch.arange(n_positions), n_positions
    if len(set(counts.tolist())) != 1:
        return None
    positions = torch.arange(n_positions)
    first = torch.full((len(unique),), n_positions).scatter_reduce(0, inverse, positions, "amin")
    by_site = torch.argsort(sources.order, stable=True)
    order = by_site[torch.argsort(first[inverse][by_site], stable=True)]
    table = order.view(len(unique), -1)
    grouped = sources.ids[:, table]
    if not bool((grouped == grouped[:, :, :1]).all()):
        return None
    return order, len(unique)


def _gather(weight: ParamValue, table: Tensor) -> ParamValue:
    """``[n_out, n_positions, m]`` to ``[n_out, n_src, vertices * m]``: zero-copy where strides fit."""
    n_out, n_positions, m = weight.shape
    n_src, vertices = table.shape
    if vertices == 1 and n_src == n_positions and bool((table[:, 0].diff() == 1).all()):
        return weight
    strided = as_strides(table)
    if strided is not None and weight.view is not None:
        (by_node, by_site), offset = strided
        out, position, kernel = weight.view.stride()
        view = weight.view.as_strided(
            (n_out, n_src, vertices, m),
            (out, position * by_node, position * by_site, kernel),
            weight.view.storage_offset() + offset * position,
        )
        moved = ParamValue(weight.name, weight.size, view, None, weight.kind)
    else:
        moved = weight.from_elements(weight.elements()[:, table])
    return moved.reshape(n_out, n_src, vertices * m)


def _connect_indexed(graph: GraphBuilder, sources: Sources, dst: Nodes, weight: ParamValue) -> None:
    """One pair a (group, output, position): for neurons that take different numbers of positions."""
    n_out, n_positions, m = weight.shape
    groups = sources.groups
    unique, inverse = torch.unique(sources.ids, return_inverse=True)
    coo = _pairs(inverse.view(groups, n_positions), n_out)
    shape = (groups * n_out * n_positions, m)
    feature = weight.expand(groups, n_out, n_positions, m).reshape(*shape)
    graph.add_edge_block(
        unique,
        dst,
        feature,
        Pattern.INDEXED,
        shape,
        ticks=sources.ticks,
        coo=coo,
        via=sources.activation.via,
    )


def connect_grouped(
    graph: GraphBuilder, ids: Tensor, dst: Nodes, weight: ParamValue, sources: Sources
) -> None:
    """+E of a grouped or depthwise convolution.

    Args:
        graph: the builder.
        ids: global node numbers ``[groups, n_in / groups]``.
        dst: the layer's nodes.
        weight: ``[groups, n_out / groups, n_in / groups, m]``.
        sources: what the ids were taken from.
    """
    groups, n_out, width, m = weight.shape
    via, ticks = sources.activation.via, sources.ticks
    if bool((ids.sort(1).values.diff(dim=1) != 0).all()):
        graph.add_edge_block(
            ids.reshape(-1), dst, weight, Pattern.GROUPED, weight.shape, ticks=ticks, via=via
        )
        return
    unique, inverse = torch.unique(ids, return_inverse=True)
    coo = _pairs(inverse.view(groups, width), n_out)
    shape = (groups * n_out * width, m)
    graph.add_edge_block(
        unique, dst, weight.reshape(*shape), Pattern.INDEXED, shape, ticks=ticks, coo=coo, via=via
    )


def _pairs(inputs: Tensor, n_out: int) -> Tensor:
    """Source and destination ``[2, groups * n_out * width]`` of all pairs inside each group."""
    groups, width = inputs.shape
    outputs = torch.arange(groups * n_out).view(groups, n_out, 1).expand(groups, n_out, width)
    return torch.stack([inputs.unsqueeze(1).expand(groups, n_out, width).reshape(-1), outputs.reshape(-1)])


def output(sources: Sources, dst: Nodes, shape: tuple[int, ...], dim: int) -> Activation:
    """The activation a layer gives when its neurons lie along one dimension and all sites are kept.

    Args:
        sources: what the layer contracted; its dimensions other than the contracted ones are kept in
            order, and the new dimension is inserted at ``dim``.
        dst: the layer's nodes.
        shape: the output's shape.
        dim: where the layer's neurons lie.
    """
    dim %= len(shape)
    x = sources.activation
    # Cut down first: arithmetic on an expanded view would write out every element.
    rank = restrict(_drop(sources.rank, sources.dims).unsqueeze(dim), _kept_dims(sources, dim))
    n_out = dst.size // sources.groups
    local = restrict(arange_along(shape, dim, dst.base), (dim,))
    axis = Axis((rank * n_out + local).expand(shape), attention=_inherit(sources.axis))
    axes = [a.with_labels(a.labels.unsqueeze(dim).expand(shape)) for a in _kept_axes(x, sources)]
    return Activation(shape, (*axes, axis), fresh=dst)


def _kept_dims(sources: Sources, dim: int) -> list[int]:
    """Dimensions of the output along which the groups of sources differ."""
    order = [d for d in range(len(sources.activation.shape)) if d not in sources.dims]
    at = [k + (k >= dim) for k in range(len(order))]
    return [at[k] for k, d in enumerate(order) if d in sources.axis.dims]


def _inherit(axis: Axis) -> Attention | None:
    """A layer over attention logits gives attention logits: the values still have to come."""
    return Attention() if axis.attention is not None else None


def _kept_axes(x: Activation, sources: Sources) -> list[Axis]:
    """Axes that survive the contraction, contracted dimensions removed."""
    kept = [d for d in range(len(x.shape)) if d not in sources.dims]
    axes = []
    for axis in x.axes:
        if axis is sources.axis:
            continue
        moved = axis.with_labels(_drop(restrict(axis.labels, kept), sources.dims))
        if moved.dims or (axis.is_nodes and not axis.dims):
            axes.append(moved)
    return axes


def _drop(labels: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Remove dimensions of size 1."""
    return labels.reshape([n for d, n in enumerate(labels.shape) if d not in dims])
