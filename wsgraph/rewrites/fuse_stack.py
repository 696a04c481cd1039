"""Stacking, which ONNX writes as a concatenation along a new dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op

__all__ = ["fuse_stack"]


def fuse_stack(graph: Graph) -> Graph:
    """``cat([unsqueeze(a, d), unsqueeze(b, d)], d)`` to ``stack([a, b], d)``."""
    return replace_each(graph, _stack)


def _stack(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.cat":
        return None
    rank = len(op.outputs[0].shape)
    dim = op.arguments["dim"] % rank
    parts = []
    for value in op.args[0]:
        widened = matcher.made_by(value, "aten.unsqueeze")
        if widened is None or widened.args[1] % rank != dim:
            return None
        parts.append(widened.args[0])
    return torch.ops.aten.stack.default, "aten.stack", (parts, dim)
