"""Softmax that gives zeros for rows that a mask hides as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, number, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op

__all__ = ["fuse_safe_softmax"]


def fuse_safe_softmax(graph: Graph) -> Graph:
    """``where(isnan(softmax(x)), 0, softmax(x))`` to torch's own ``_safe_softmax(x)``."""
    return replace_each(graph, _safe)


def _safe(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.where" or number(op.args[1]) != 0.0:
        return None
    condition, _, result = op.args
    test, softmax = matcher.made_by(condition, "aten.isnan"), matcher.made_by(result, "aten.softmax")
    if test is None or softmax is None or test.args[0] is not result:
        return None
    safe = torch.ops.aten._safe_softmax.default  # noqa: SLF001  an operator that torch itself writes down
    return safe, "aten._safe_softmax", tuple(softmax.args[:2])
