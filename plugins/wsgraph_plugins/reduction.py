"""Sums, means, maxima and norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.lowering.hookspecs import Register, hookimpl

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation
    from wsgraph.provenance.axes import Activation

_NAMES = (
    "mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "logsumexp", "norm",
    "linalg_vector_norm", "var_mean", "std_mean", "all", "any", "argmax", "argmin", "median", "count_nonzero",
)  # fmt: skip


def lower_reduction(op: Operation, graph: LoweringGraph) -> Any:
    """Over positions neurons are pooled; over neurons they make nodes of their own."""
    tensors = op.tensors()
    if op.name in ("max", "min") and len(tensors) == 2:
        from wsgraph_plugins.elementwise import lower_elementwise

        return lower_elementwise(op, graph)
    x = op.as_activation(tensors[0])
    dims = op.argument("dim")
    dims = () if dims is None else ((dims,) if isinstance(dims, int) else tuple(dims))
    out: list[Activation] = []
    for value in op.op.outputs:
        if out and out[0].shape == value.shape:
            out.append(out[0])
        else:
            out.append(graph.reduce(x, dims, value.shape, op.name))
    return out


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Reductions."""
    for name in _NAMES:
        register(f"aten.{name}", lower_reduction)
