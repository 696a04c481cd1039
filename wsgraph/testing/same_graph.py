"""Whether two streams are the same graph with the same weights, whatever their tensors are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.events.blocks import Learned, ParamView

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.events.blocks import EdgeBlock, NodeBlock
    from wsgraph.events.stream import EventStream

__all__ = ["difference", "features", "skeleton"]

_OPERATORS = {
    "aten.addmm": "aten.linear",  # ONNX has one product of matrices
    "aten.glu": "aten.mul",  # written out
    "aten.scaled_dot_product_attention": "aten.matmul",  # written out before opset 23
}

_NAMES = ("scope", "input", "op", "pooling", "via")
"""Attributes that are names of places and operators."""


def skeleton(stream: EventStream) -> tuple[list[Any], list[Any]]:
    """What has to be equal: node blocks and edge blocks in order, and how they are wired."""
    nodes = [(n.size, n.t, _attributes(n), sorted(n.features)) for n in stream.node_blocks]
    edges = [(e.src, e.dst, e.t, e.pattern, e.shape, _attributes(e), _learned(e)) for e in stream.edge_blocks]
    return nodes, edges


def features(stream: EventStream) -> list[Tensor]:
    """The numbers of all parameter features, in order."""
    views = [v for n in stream.node_blocks for _, v in sorted(n.features.items())]
    views += [e.feature for e in stream.edge_blocks if isinstance(e.feature, ParamView)]
    return [stream.feature(v) for v in views]


def difference(one: EventStream, other: EventStream, rtol: float = 0.0, atol: float = 0.0) -> str:
    """The first difference between two streams in words; empty where there is none.

    Args:
        one: a stream.
        other: what is compared with it.
        rtol: relative tolerance of the features; 0 for element by element.
        atol: absolute tolerance.
    """
    for kind, left, right in zip(("node", "edge"), skeleton(one), skeleton(other), strict=True):
        if len(left) != len(right):
            return f"{len(left)} {kind} blocks and {len(right)}"
        for k, (a, b) in enumerate(zip(left, right, strict=True)):
            if a != b:
                return f"{kind} block {k}: {a} and {b}"
    for k, (x, y) in enumerate(zip(features(one), features(other), strict=True)):
        if x.shape != y.shape or not torch.allclose(x, y, rtol=rtol, atol=atol):
            return f"feature {k} differs"
    return ""


def _attributes(block: NodeBlock | EdgeBlock) -> dict[str, Any]:
    """Attributes apart from places in the module tree; operators under one name where ONNX has one."""
    kept: dict[str, Any] = {k: v for k, v in block.attrs.items() if k not in _NAMES}
    op = block.attrs.get("op")
    return {**kept, "op": _OPERATORS.get(str(op), op)}


def _learned(edge: EdgeBlock) -> Learned | None:
    return edge.feature if isinstance(edge.feature, Learned) else None
