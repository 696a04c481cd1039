"""Sampling a feature map at places that the network computes: warping, boxes of a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation
from wsgraph_plugins.lookup import with_new_sites

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_grid_sampler(op: Operation, graph: LoweringGraph) -> Activation:
    """The map's neurons at new positions; the neurons that say where gate them, all of them together."""
    x, grid = op.activation("input", (1,)), op.activation("grid")
    spatial = tuple(range(2, len(op.shape)))
    sampled = graph.reduce(x, spatial, x.shape[:2], "grid_sampler")
    axes = tuple(
        a.with_labels(a.labels[(..., *(None,) * len(spatial))].expand(op.shape)) for a in sampled.axes
    )
    moved = Activation(op.shape, axes, sampled.via)
    if grid.nodes or grid.pending:
        where = graph.reduce(grid, (-1,), grid.shape[:-1], "grid")
        spread = tuple(a.with_labels(a.labels.unsqueeze(1).expand(op.shape)) for a in where.axes)
        moved = graph.combine(moved, Activation(op.shape, spread), "product")
    return with_new_sites(moved, op.shape)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """torch.nn.functional.grid_sample."""
    for name in ("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"):
        register(f"aten.{name}", lower_grid_sampler)
