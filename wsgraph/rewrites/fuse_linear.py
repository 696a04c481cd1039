"""A product with a transposed weight matrix is a linear layer."""

from __future__ import annotations

from typing import Any

import torch

from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.rewrites.matching import Matcher, replace_each

__all__ = ["fuse_linear"]


def fuse_linear(graph: Graph) -> Graph:
    """``x @ w.T`` to ``linear(x, w)`` for a stored matrix ``w`` [n_out, n_in], or rows of one."""
    return replace_each(graph, _linear)


def _linear(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.matmul" or len(op.args[0].shape) < 2:
        return None
    turned = matcher.made_by(op.args[1], "aten.permute", "aten.t", "aten.transpose")
    if turned is None or len(turned.outputs[0].shape) != 2:
        return None
    weight = turned.args[0]
    if not _stored(weight, matcher) or weight.shape != op.args[1].shape[::-1] or _keeps(turned):
        return None
    return torch.ops.aten.linear.default, "aten.linear", (op.args[0], weight)


def _stored(weight: Any, matcher: Matcher) -> bool:
    """Whether a matrix is a parameter, or cut out of one, as for the queries of a joint projection."""
    while (cut := matcher.made_by(weight, "aten.slice", "aten.split_with_sizes")) is not None:
        weight = cut.args[0]
    return isinstance(weight, Value) and weight.kind is ValueKind.PARAMETER


def _keeps(turned: Op) -> bool:
    """Whether a permutation leaves both dimensions where they are."""
    if turned.key == "aten.permute":
        return [d % 2 for d in turned.args[1]] == [0, 1]
    return turned.key == "aten.transpose" and (turned.args[1] - turned.args[2]) % 2 == 0
