"""Fused attention; the written-out form goes through the matrix products (App. F.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_sdpa(op: Operation, graph: LoweringGraph) -> Activation:
    """Three timestamps: q, k and v; z with learned edges from its head's q, k and v; then the output."""
    # Queries, keys or values may be parameters (learned latents): their neurons are heads by channels.
    dims = (-3, -1) if len(op.shape) > 3 else (-1,)
    q, k, v = (op.activation(name, dims) for name in ("query", "key", "value"))
    if op.argument("enable_gqa") and len(q.shape) > 3:
        k, v = _repeat_heads(k, q.shape[-3]), _repeat_heads(v, q.shape[-3])
    logits_shape = (*op.shape[:-1], k.shape[-2])
    logits = graph.matmul(q, k.transposed, logits_shape)
    mask = op.state(op.argument("attn_mask"))
    if isinstance(mask, ParamValue) and mask.kind.value == "parameter":
        logits = graph.shift(logits, mask)
    elif isinstance(mask, Activation) and mask.nodes:
        logits = graph.combine(logits, mask.expanded(logits_shape), "sum")
    return graph.matmul(logits, v, op.shape)


def _repeat_heads(x: Activation, heads: int) -> Activation:
    """Grouped-query attention: each key head serves several query heads."""
    times = heads // x.shape[-3]
    shape = (*x.shape[:-3], heads, *x.shape[-2:])
    axes = tuple(a.with_labels(a.labels.repeat_interleave(times, dim=-3)) for a in x.axes)
    return replace(x, shape=shape, axes=axes)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Torch's fused attention."""
    register("aten.scaled_dot_product_attention", lower_sdpa)
