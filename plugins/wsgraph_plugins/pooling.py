"""Pooling and upsampling: the positions change, the neurons stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.spatial import resample

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation
    from wsgraph.provenance.axes import Activation

_FAMILIES = (
    "avg_pool{n}d", "max_pool{n}d", "max_pool{n}d_with_indices", "adaptive_avg_pool{n}d",
    "adaptive_max_pool{n}d", "lp_pool{n}d", "_adaptive_avg_pool{n}d",
)  # fmt: skip
_UPSAMPLING = {
    "upsample_nearest1d": 1, "upsample_linear1d": 1, "upsample_nearest2d": 2, "upsample_bilinear2d": 2,
    "upsample_bicubic2d": 2, "_upsample_nearest_exact2d": 2, "_upsample_bilinear2d_aa": 2,
    "_upsample_bicubic2d_aa": 2, "upsample_nearest3d": 3, "upsample_trilinear3d": 3,
}  # fmt: skip


def _lower(spatial: int) -> Any:
    def lower(op: Operation, graph: LoweringGraph) -> tuple[Activation, ...]:
        x = op.as_activation(op.tensors()[0])
        return tuple(resample(graph, x, v.shape, spatial, op.name) for v in op.op.outputs)

    return lower


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """All poolings of torch.nn, and interpolation."""
    for n in (1, 2, 3):
        for family in _FAMILIES:
            register(f"aten.{family.format(n=n)}", _lower(n))
    for name, spatial in _UPSAMPLING.items():
        register(f"aten.{name}", _lower(spatial))
