"""Reciprocal square roots, which ONNX does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, number, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op

__all__ = ["fuse_rsqrt"]


def fuse_rsqrt(graph: Graph) -> Graph:
    """``reciprocal(sqrt(x))`` and ``1 / sqrt(x)`` to ``rsqrt(x)``."""
    return replace_each(graph, _rsqrt)


def _rsqrt(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key == "aten.reciprocal":
        root = matcher.made_by(op.args[0], "aten.sqrt")
    elif op.key == "aten.div" and not op.kwargs and number(op.args[0]) == 1.0:
        root = matcher.made_by(op.args[1], "aten.sqrt")
    else:
        return None
    return None if root is None else (torch.ops.aten.rsqrt.default, "aten.rsqrt", (root.args[0],))
