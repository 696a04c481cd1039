"""A matrix product and the addition of a vector are a linear layer with a bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.rewrites.matching import Matcher, replace_each

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fuse_bias"]


def fuse_bias(graph: Graph) -> Graph:
    """``linear(x, w) + b`` to ``linear(x, w, b)``."""
    return replace_each(graph, _with_bias)


def _with_bias(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.add" or op.kwargs or len(op.args) != 2:
        return None
    product, bias = _order(op.args, matcher)
    layer = matcher.made_by(product, "aten.linear")
    if layer is None or matcher.only_user(product) is not op or len(layer.arguments) < 3:
        return None
    if layer.arguments["bias"] is not None or not _is_bias(bias, product):
        return None
    x, weight = layer.args[:2]
    return torch.ops.aten.linear.default, "aten.linear", (x, weight, bias)


def _order(args: Sequence[Any], matcher: Matcher) -> tuple[Any, Any]:
    left, right = args
    return (left, right) if matcher.made_by(left, "aten.linear") else (right, left)


def _is_bias(value: Any, product: Value) -> bool:
    """Whether a value is a stored vector with a number for each neuron."""
    return (
        isinstance(value, Value) and value.kind is ValueKind.PARAMETER and value.shape == product.shape[-1:]
    )
