"""Operators that change the positions of a feature map and leave its neurons alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.lowering.reduction import reduce_activation
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along, restrict

if TYPE_CHECKING:
    from wsgraph.lowering.builder import GraphBuilder

__all__ = ["resample"]


def resample(
    graph: GraphBuilder, x: Activation, shape: tuple[int, ...], spatial: int, name: str
) -> Activation:
    """Pooling and upsampling: the last ``spatial`` dimensions get new positions, neurons stay.

    Args:
        graph: the builder.
        x: the activation.
        shape: the result's shape.
        spatial: number of trailing dimensions that are resampled.
        name: the operator, noted as what the neurons went through.
    """
    rank = len(shape)
    dims = range(rank - spatial, rank)
    moving = [d for d in dims if any(d in a.dims for a in x.nodes)]
    if moving:
        kept = tuple(1 if d in moving else n for d, n in enumerate(x.shape))
        x = reduce_activation(graph, x, moving, kept, name)
    axes = []
    for axis in x.axes:
        if axis.is_sites and set(axis.dims) & set(dims):
            continue
        outer = restrict(axis.labels, [d for d in range(rank) if d not in dims])
        axes.append(axis.with_labels(outer.expand(shape)))
    axes += [Axis(arange_along(shape, d), Space(shape[d])) for d in dims if shape[d] > 1]
    for axis in x.nodes:
        graph.annotate(axis.ids(), name, "pooling")
    via = x.via if name in x.via else (*x.via, name)
    return Activation(shape, tuple(axes), via=via)
