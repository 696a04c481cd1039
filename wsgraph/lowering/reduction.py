"""Sums, means, maxima and norms: over sites they drop axes, over neurons they make nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.events.blocks import Learned
from wsgraph.lowering.sources import force
from wsgraph.provenance.axes import Activation, Axis, broadcast, distinct_rows, restrict
from wsgraph.provenance.groups import remaining_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from wsgraph.lowering.builder import GraphBuilder, Nodes

__all__ = ["reduce_activation"]


def reduce_activation(
    graph: GraphBuilder, x: Activation, dims: Sequence[int], shape: tuple[int, ...], name: str
) -> Activation:
    """The activation after a reduction along ``dims``.

    Args:
        graph: the builder.
        x: what is reduced.
        dims: reduced dimensions.
        shape: the result's shape, reduced dimensions kept as 1 or gone.
        name: the operator, noted as what the neurons went through.
    """
    rank = len(x.shape)
    dims = tuple(sorted(d % rank for d in dims)) if dims else tuple(range(rank))
    x = force(graph, x, dims)
    kept = [d for d in range(rank) if d not in dims]
    reduced = [a for a in x.nodes if set(a.dims) & set(dims)]
    if not reduced:
        for axis in x.nodes:
            graph.annotate(axis.ids(), name, "pooling")
        axes = remaining_axes(x.axes, kept, shape)
        return Activation(shape, axes, via=(*x.via, name))
    others = [a for a in x.axes if a.is_nodes and a not in reduced]
    keys = broadcast([*(_kept_part(a, dims) for a in reduced), *(restrict(a.labels, kept) for a in others)])
    small_dims = sorted({d for a in (*reduced, *others) for d in a.dims if d in kept})
    small = [restrict(k, small_dims) for k in keys]
    ranks, first = distinct_rows(small)
    block = graph.add_nodes(len(first), role="sum")
    for axis in reduced:
        _connect(graph, axis, dims, small_dims, first, block, x.via)
    for labels in small[len(reduced) :]:
        graph.one_to_one(labels.reshape(-1)[first], block, Learned("reduce"), via=x.via)
    full = (ranks + block.base).expand([1 if d in dims else n for d, n in enumerate(x.shape)])
    sites = [a for a in x.axes if a.is_sites or a.pending]
    new = Axis(full.reshape(shape))
    return Activation(shape, (*remaining_axes(sites, kept, shape), new), via=(name,), fresh=block)


def _kept_part(axis: Axis, dims: tuple[int, ...]) -> torch.Tensor:
    """A label for each set of neurons that are reduced together; -1, padding, makes no set another one."""
    along = [d for d in dims if d in axis.dims]
    small = axis.small()
    rest = [d for d in range(small.dim()) if d not in along]
    sets = small.permute(*rest, *along).flatten(len(rest))
    largest = sets.amax(-1)
    rank, first = distinct_rows([largest])
    rows = sets.reshape(-1, sets.shape[-1])
    alike = rows[first][rank.reshape(-1)]
    if bool(((rows == alike) | (rows < 0) | (alike < 0)).all()):
        keys = largest
    else:
        keys = distinct_rows(list(rows.unbind(1)))[0].view(largest.shape)
    for d in along:
        keys = keys.unsqueeze(d)
    return keys.expand([1 if d in dims else n for d, n in enumerate(axis.labels.shape)])


def _connect(
    graph: GraphBuilder,
    axis: Axis,
    dims: tuple[int, ...],
    small_dims: list[int],
    first: torch.Tensor,
    block: Nodes,
    via: tuple[str, ...],
) -> None:
    """Learned edges from the neurons reduced: those that share a kept position."""
    along = [d for d in dims if d in axis.dims]
    labels = restrict(axis.labels, (*along, *small_dims))
    rest = [d for d in range(labels.dim()) if d not in along]
    width = 1
    for d in along:
        width *= labels.shape[d]
    table = labels.permute(*rest, *along).reshape(-1, width)
    if not set(axis.dims) & set(small_dims):
        graph.learned(table[:1], block, "reduce", via=via)
        return
    graph.learned(table[first], block, "reduce", via=via)
