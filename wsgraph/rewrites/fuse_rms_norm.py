"""Root-mean-square normalisation, which exporters write out before opset 23."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Op, Value, ValueKind
from wsgraph.rewrites.matching import Matcher, number, replace_each

if TYPE_CHECKING:
    from collections.abc import Container

    from wsgraph.ir.graph import Graph

__all__ = ["fuse_rms_norm"]


def fuse_rms_norm(graph: Graph, scopes: Container[str]) -> Graph:
    """``x * rsqrt(mean(x**2) + eps) * scale`` to ``rms_norm(x, ...)``.

    Args:
        graph: the graph, which is changed.
        scopes: the modules whose operator is one; what a network's own code writes out stays as it is, as
            it does where the network is compiled directly.
    """

    def scaled(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
        return _scaled(op, matcher) if op.scope in scopes else None

    def plain(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
        return _call(op, None, matcher) if op.scope in scopes else None

    return replace_each(replace_each(graph, scaled), plain)


def _scaled(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.mul":
        return None
    for value, scale in (op.args, op.args[::-1]):
        product = matcher.made_by(value, "aten.mul")
        stored = isinstance(scale, Value) and scale.kind is ValueKind.PARAMETER
        if product is not None and stored and matcher.only_user(value) is op:
            return _call(product, scale, matcher)
    return None


def _call(product: Op, scale: Value | None, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    """The operator for a product of x and its reciprocal root mean square."""
    if product.key != "aten.mul":
        return None
    for x, factor in (product.args, product.args[::-1]):
        found = _root(x, factor, matcher)
        if found is not None and (scale is None or list(scale.shape) == found[0]):
            return torch.ops.aten.rms_norm.default, "aten.rms_norm", (x, found[0], scale, found[1])
    return None


def _root(x: Any, factor: Any, matcher: Matcher) -> tuple[list[int], float | None] | None:
    """The normalised shape and eps of ``rsqrt(mean(x**2) + eps)``; None for the type's own eps."""
    root = matcher.made_by(factor, "aten.rsqrt")
    padded = root and matcher.made_by(root.args[0], "aten.add")
    mean = padded and matcher.made_by(padded.args[0], "aten.mean")
    square = mean and matcher.made_by(mean.args[0], "aten.pow")
    if not padded or not mean or not square or square.args[0] is not x or number(square.args[1]) != 2.0:
        return None
    eps, rank = number(padded.args[1]), len(x.shape)
    dims = sorted(d % rank for d in mean.arguments["dim"] or ())
    if eps is None or not dims or dims != list(range(dims[0], rank)) or not mean.arguments["keepdim"]:
        return None
    own = isclose(eps, torch.finfo(x.dtype).eps, rel_tol=1e-6)
    return list(x.shape[dims[0] :]), None if own else eps
