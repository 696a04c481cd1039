"""Fused attention; the written-out form goes through the matrix products (App. F.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wsgraph.lowering.facade import LoweringGraph
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.operation import Operation
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue


def lower_sdpa(op: Operation, graph: LoweringGraph) -> Activation:
    """Three timestamps: q, k and v; z with learned edges from its head's q, k and v; then the output."""
    q = op.activation("query")
    k, v = op.activation("key"), op.activation("value")
    if op.argument("enable_gqa") and len(q.shape) > 3:
        k, v = _repeat_heads(k, q.shape[-3]), _repeat_heads(v, q.shape[-3])
    logits_shape = (*op.shape[:-1], k.shape[-2])
    logits = graph.matmul(q, _transpose(k), logits_shape)
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


def _transpose(x: Activation) -> Activation:
    shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return replace(x, shape=shape, axes=tuple(a.with_labels(a.labels.transpose(-1, -2)) for a in x.axes))


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """torch's fused attention."""
    register("aten.scaled_dot_product_attention", lower_sdpa)
