"""Layer normalisation, written out by means."""

from __future__ import annotations

from typing import Any

import torch

from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.rewrites.matching import Matcher, number, replace_each

__all__ = ["fuse_layer_norm"]


def fuse_layer_norm(graph: Graph) -> Graph:
    """``(x - mean(x)) / sqrt(mean((x - mean(x))**2) + eps) * scale + shift`` to ``layer_norm(x, ...)``."""
    return replace_each(replace_each(graph, _affine), _plain)


def _affine(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.add" or op.kwargs:
        return None
    for scaled, shift in (op.args, op.args[::-1]):
        product = matcher.made_by(scaled, "aten.mul")
        if product is None or matcher.only_user(scaled) is not op or not _is_vector(shift):
            continue
        for normalised, scale in (product.args, product.args[::-1]):
            found = _normalised(normalised, matcher)
            if found and _is_vector(scale) and scale.shape == shift.shape == found[0].shape[-1:]:
                return _call(found[0], found[1], scale, shift)
    return None


def _plain(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    found = _normalised(op.outputs[0], matcher) if op.key == "aten.div" else None
    return None if found is None else _call(found[0], found[1], None, None)


def _call(x: Value, eps: float, scale: Any, shift: Any) -> tuple[Any, str, tuple[Any, ...]]:
    arguments = (x, [x.shape[-1]], scale, shift, eps)
    return torch.ops.aten.layer_norm.default, "aten.layer_norm", arguments


def _is_vector(value: Any) -> bool:
    return isinstance(value, Value) and value.kind is ValueKind.PARAMETER and len(value.shape) == 1


def _normalised(value: Any, matcher: Matcher) -> tuple[Value, float] | None:
    """``x`` and ``eps`` of ``(x - mean(x)) / sqrt(mean((x - mean(x))**2) + eps)``."""
    quotient = matcher.made_by(value, "aten.div")
    root = quotient and matcher.made_by(quotient.args[1], "aten.sqrt")
    padded = root and matcher.made_by(root.args[0], "aten.add")
    if not quotient or not padded or (eps := number(padded.args[1])) is None:
        return None
    x = _centred(quotient.args[0], matcher)
    variance = _last_mean(padded.args[0], matcher)
    square = variance and matcher.made_by(variance.args[0], "aten.pow", "aten.mul")
    if x is None or not square or not _is_square(square):
        return None
    return (x, eps) if _centred(square.args[0], matcher) is x else None


def _is_square(op: Op) -> bool:
    return op.args[0] is op.args[1] if op.key == "aten.mul" else number(op.args[1]) == 2.0


def _centred(value: Any, matcher: Matcher) -> Value | None:
    """``x`` of ``x - mean(x)``."""
    difference = matcher.made_by(value, "aten.sub")
    mean = difference and _last_mean(difference.args[1], matcher)
    if not difference or not mean or mean.args[0] is not difference.args[0]:
        return None
    x = difference.args[0]
    return x if isinstance(x, Value) else None


def _last_mean(value: Any, matcher: Matcher) -> Op | None:
    """A mean over the last dimension that keeps it."""
    mean = matcher.made_by(value, "aten.mean")
    if mean is None:
        return None
    dims = [d % len(mean.args[0].shape) for d in mean.arguments["dim"] or ()]
    return mean if dims == [len(mean.args[0].shape) - 1] and mean.arguments["keepdim"] else None
