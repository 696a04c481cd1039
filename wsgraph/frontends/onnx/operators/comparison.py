"""Comparisons, logic and selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.operators.arithmetic import legacy_broadcast
from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_BINARY = {
    "And": aten.logical_and.default,
    "Or": aten.logical_or.default,
    "Xor": aten.logical_xor.default,
    "Equal": aten.eq.Tensor,
    "Greater": aten.gt.Tensor,
    "GreaterOrEqual": aten.ge.Tensor,
    "Less": aten.lt.Tensor,
    "LessOrEqual": aten.le.Tensor,
}
_WIDENED = (torch.uint16, torch.uint32, torch.uint64)
"""Types that torch stores and hardly computes with; numbers of 2**63 and above do not occur in models."""


@operator(*_BINARY)
def _binary(node: Node) -> Any:
    left, right = legacy_broadcast(node)
    if left.dtype in _WIDENED:
        left, right = (node.call(CAST, v, dtype=torch.int64) for v in (left, right))
    return node.call(_BINARY[node.op_type], left, right)


@operator("Not")
def _not(node: Node) -> Any:
    return node.call(aten.logical_not.default, node.x())


@operator("Where")
def _where(node: Node) -> Any:
    return node.call(aten.where.self, node.x(0), node.x(1), node.x(2))


@operator("IsNaN")
def _is_nan(node: Node) -> Any:
    return node.call(aten.isnan.default, node.x())


@operator("IsInf")
def _is_inf(node: Node) -> Any:
    positive, negative = node.attr("detect_positive", 1), node.attr("detect_negative", 1)
    if positive and negative:
        return node.call(aten.isinf.default, node.x())
    if positive or negative:
        return node.call(aten.eq.Scalar, node.x(), float("inf") if positive else float("-inf"))
    return node.call(aten.zeros_like.default, node.x(), dtype=torch.bool)
