"""Attention as one operator (opset 23 and later)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_KNOWN = frozenset({"is_causal", "kv_num_heads", "q_num_heads", "scale", "softcap", "qk_matmul_output_mode"})
"""Attributes that torch's operator has a word for, or that do not matter where the rest fits."""


@operator("Attention")
def _attention(node: Node) -> Any:
    """Torch's fused attention; what it cannot express is left to the standard's definition."""
    q, k, v = (_heads(node, position) for position in range(3))
    if _beyond_torch(node, q, k):
        return NotImplemented
    heads = q.shape[1] != k.shape[1]
    causal = bool(node.attr("is_causal", 0))
    out = node.call(
        aten.scaled_dot_product_attention.default,
        *(q, k, v, node.opt(3), 0.0, causal),
        scale=node.attr("scale"),
        enable_gqa=heads,
    )
    if len(node.x(0).shape) == 4:
        return out
    batch, length, _ = node.x(0).shape
    return node.call(aten.reshape.default, node.call(aten.transpose.int, out, 1, 2), [batch, length, -1])


def _heads(node: Node, position: int) -> Any:
    """Queries, keys or values as ``[batch, heads, length, width]``."""
    x = node.x(position)
    if len(x.shape) == 4:
        return x
    heads = node.attr("q_num_heads" if position == 0 else "kv_num_heads")
    batch, length, width = x.shape
    split = node.call(aten.reshape.default, x, [batch, length, heads, width // heads])
    return node.call(aten.transpose.int, split, 1, 2)


def _beyond_torch(node: Node, q: Any, k: Any) -> bool:
    """Caches, capped logits, logits as outputs, and masks that torch would read otherwise."""
    causal = bool(node.attr("is_causal", 0))
    mask = node.opt(3)
    short_mask = mask is not None and mask.shape[-1] != k.shape[2]
    return (
        not _KNOWN.issuperset(node.attributes)
        or any(node.has(p) for p in (4, 5, 6))
        or any(node.wants(p) for p in (1, 2, 3))
        or bool(node.attr("softcap", 0.0))
        or (causal and (mask is not None or q.shape[2] != k.shape[2]))
        or short_mask
    )
