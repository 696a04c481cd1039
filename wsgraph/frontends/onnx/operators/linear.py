"""Products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.frontends.onnx.registry import operator
from wsgraph.ir.graph import Value, ValueKind

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten


@operator("MatMul")
def _matmul(node: Node) -> Any:
    """A linear layer where the right side is a stored matrix ``[n_in, n_out]``, else a product."""
    left, right = node.x(0), node.x(1)
    if _stored_matrix(right) and isinstance(left, Value) and len(left.shape) > 1:
        return node.call(aten.linear.default, left, node.call(aten.t.default, right))
    return node.call(aten.matmul.default, left, right)


def _stored_matrix(operand: Value | Tensor) -> bool:
    return isinstance(operand, Value) and operand.kind is ValueKind.PARAMETER and len(operand.shape) == 2


@operator("Gemm")
def _gemm(node: Node) -> Any:
    """``alpha * A' @ B' + beta * C``; a linear layer where the factors are one."""
    a, b, c = node.x(0), node.x(1), node.opt(2)
    alpha, beta = node.attr("alpha", 1.0), node.attr("beta", 1.0)
    if node.attr("transA", 0):
        a = node.call(aten.t.default, a)
    plain = alpha == 1.0 and (c is None or beta == 1.0)
    weight_shape = b.shape if node.attr("transB", 0) else b.shape[::-1]
    if plain and (c is None or tuple(c.shape) == weight_shape[:1]) and a.dtype.is_floating_point:
        weight = b if node.attr("transB", 0) else node.call(aten.t.default, b)
        return node.call(aten.linear.default, a, weight, c)
    if node.attr("transB", 0):
        b = node.call(aten.t.default, b)
    product = _scaled(node, node.call(aten.matmul.default, a, b), alpha)
    return product if c is None else node.call(aten.add.Tensor, product, _scaled(node, c, beta))


def _scaled(node: Node, x: Any, factor: float) -> Any:
    return x if factor == 1.0 else node.call(aten.mul.Tensor, x, torch.tensor(factor, dtype=x.dtype))


@operator("Einsum")
def _einsum(node: Node) -> Any:
    operands = [node.x(k) for k in range(len(node.inputs))]
    return node.call(aten.einsum.default, node.attr("equation"), operands)
