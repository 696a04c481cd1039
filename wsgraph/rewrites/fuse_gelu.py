"""GELU, written out by the error function."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, number, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op, Value

__all__ = ["fuse_gelu"]


def fuse_gelu(graph: Graph) -> Graph:
    """``0.5 * x * (1 + erf(x / sqrt(2)))`` to ``gelu(x)``, whatever the order of its factors."""
    return replace_each(graph, _gelu)


def _gelu(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    """Collect the factors of a product: a half, x, and one plus the error function of x."""
    if op.key != "aten.mul":
        return None
    scale, factors = _factors(op.outputs[0], matcher, last=True)
    if abs(scale - 0.5) > 1e-6 or len(factors) != 2:
        return None
    for x, other in (factors, factors[::-1]):
        if _error_function_of(other, matcher) is x:
            return torch.ops.aten.gelu.default, "aten.gelu", (x,)
    return None


def _factors(value: Value, matcher: Matcher, *, last: bool = False) -> tuple[float, list[Value]]:
    """The number and the values that a value is the product of; products that others read stay whole."""
    op = matcher.made_by(value, "aten.mul", "aten.div")
    if op is None or (not last and matcher.only_user(value) is None):
        return 1.0, [value]
    scale, values = 1.0, []
    for k, argument in enumerate(op.args):
        n = number(argument)
        if n is not None:
            scale *= 1 / n if op.key == "aten.div" and k == 1 and n else n
        elif op.key == "aten.div" and k == 1:
            return 1.0, [value]
        else:
            inner, more = _factors(argument, matcher)
            scale *= inner
            values += more
    return scale, values


def _error_function_of(value: Value, matcher: Matcher) -> Value | None:
    """``x`` of ``1 + erf(x / sqrt(2))``."""
    total = matcher.made_by(value, "aten.add")
    if total is None or number(total.args[1]) != 1.0:
        return None
    erf = matcher.made_by(total.args[0], "aten.erf")
    if erf is None:
        return None
    scale, values = _factors(erf.args[0], matcher)
    return values[0] if len(values) == 1 and abs(scale - math.sqrt(0.5)) < 1e-5 else None
