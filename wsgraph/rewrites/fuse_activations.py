"""Activations that ONNX lacks, or got late: softplus with a threshold, log-sigmoid, mish, hard shrinking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, number, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op

__all__ = ["fuse_activations"]

aten = torch.ops.aten


def fuse_activations(graph: Graph) -> Graph:
    """``log(sigmoid(x))`` to ``log_sigmoid(x)``, ``x * tanh(softplus(x))`` to ``mish(x)``, and so on."""
    for rule in (_softplus, _log_sigmoid, _mish, _hardshrink):
        graph = replace_each(graph, rule)
    return graph


def _softplus(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    """``where(x > threshold, x, softplus(x))``: beyond it torch takes x itself, for safety."""
    if op.key != "aten.where":
        return None
    condition, x, other = op.args
    test, smooth = matcher.made_by(condition, "aten.gt"), matcher.made_by(other, "aten.softplus")
    if test is None or smooth is None or test.args[0] is not x or smooth.args[0] is not x:
        return None
    threshold = number(test.args[1])
    return None if threshold is None else (aten.softplus.default, "aten.softplus", (x, 1, threshold))


def _log_sigmoid(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    inner = matcher.made_by(op.args[0], "aten.sigmoid") if op.key == "aten.log" else None
    return None if inner is None else (aten.log_sigmoid.default, "aten.log_sigmoid", (inner.args[0],))


def _mish(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.mul":
        return None
    for x, gate in (op.args, op.args[::-1]):
        bent = matcher.made_by(gate, "aten.tanh")
        smooth = bent and matcher.made_by(bent.args[0], "aten.softplus")
        if smooth and smooth.args[0] is x:
            return aten.mish.default, "aten.mish", (x,)
    return None


def _hardshrink(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    """``where(abs(x) <= bound, 0, x)``."""
    if op.key != "aten.where" or number(op.args[1]) != 0.0:
        return None
    condition, _, x = op.args
    test = matcher.made_by(condition, "aten.le")
    size = test and matcher.made_by(test.args[0], "aten.abs")
    bound = number(test.args[1]) if test else None
    if not size or size.args[0] is not x or bound is None:
        return None
    return aten.hardshrink.default, "aten.hardshrink", (x, bound)
