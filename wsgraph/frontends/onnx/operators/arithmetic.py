"""Element-wise arithmetic."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator
from wsgraph.ir.graph import Value

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__ = ["legacy_broadcast"]

aten = torch.ops.aten

_UNARY = {
    "Abs": aten.abs.default,
    "Acos": aten.acos.default,
    "Acosh": aten.acosh.default,
    "Asin": aten.asin.default,
    "Asinh": aten.asinh.default,
    "Atan": aten.atan.default,
    "Atanh": aten.atanh.default,
    "BitwiseNot": aten.bitwise_not.default,
    "Ceil": aten.ceil.default,
    "Cos": aten.cos.default,
    "Cosh": aten.cosh.default,
    "Det": aten.linalg_det.default,
    "Erf": aten.erf.default,
    "Exp": aten.exp.default,
    "Floor": aten.floor.default,
    "Log": aten.log.default,
    "Neg": aten.neg.default,
    "Reciprocal": aten.reciprocal.default,
    "Round": aten.round.default,
    "Sign": aten.sign.default,
    "Sin": aten.sin.default,
    "Sinh": aten.sinh.default,
    "Sqrt": aten.sqrt.default,
    "Tan": aten.tan.default,
}
_BINARY = {
    "Add": aten.add.Tensor,
    "Sub": aten.sub.Tensor,
    "Mul": aten.mul.Tensor,
    "BitwiseAnd": aten.bitwise_and.Tensor,
    "BitwiseOr": aten.bitwise_or.Tensor,
    "BitwiseXor": aten.bitwise_xor.Tensor,
}
_STORED_ONLY = (torch.uint16, torch.uint32, torch.uint64)
_COMMUTING = frozenset({"Add", "Mul"})
_VARIADIC = {"Sum": aten.add.Tensor, "Max": aten.maximum.default, "Min": aten.minimum.default}


@operator(*_UNARY)
def _unary(node: Node) -> Any:
    return _widened(node, _UNARY[node.op_type], node.x())


@operator(*_BINARY)
def _binary(node: Node) -> Any:
    left, right = legacy_broadcast(node)
    if node.op_type in _COMMUTING and isinstance(left, Tensor) and isinstance(right, Value):
        left, right = right, left  # as torch writes x + 1; a number can only come second
    return _widened(node, _BINARY[node.op_type], left, right)


def legacy_broadcast(node: Node) -> tuple[Value | Tensor, Value | Tensor]:
    """Both operands; before opset 7 the second one says by ``axis`` where it lies along the first."""
    left, right = node.x(0), node.x(1)
    axis = node.attr("axis")
    if axis is None or not node.attr("broadcast", 0):
        return left, right
    behind = len(left.shape) - int(axis) % len(left.shape) - len(right.shape)
    return left, node.call(aten.reshape.default, right, [*right.shape, *(1,) * behind])


def _widened(node: Node, target: Any, *operands: Any, **options: Any) -> Any:
    """Emit an operator; unsigned numbers that torch stores but cannot compute with are widened for it."""
    dtype = operands[0].dtype
    if dtype not in _STORED_ONLY:
        return node.call(target, *operands, **options)
    wide = (node.call(CAST, v, dtype=torch.int64) for v in operands)
    return node.call(CAST, node.call(target, *wide, **options), dtype=dtype)


@operator("Div")
def _div(node: Node) -> Any:
    left, right = legacy_broadcast(node)
    if left.dtype.is_floating_point:
        return node.call(aten.div.Tensor, left, right)
    return _widened(node, aten.div.Tensor_mode, left, right, rounding_mode="trunc")


@operator("Mod")
def _mod(node: Node) -> Any:
    target = aten.fmod.Tensor if node.attr("fmod", 0) else aten.remainder.Tensor
    return _widened(node, target, node.x(0), node.x(1))


@operator("Pow")
def _pow(node: Node) -> Any:
    base, exponent = legacy_broadcast(node)
    if isinstance(exponent, Tensor) and exponent.numel() == 1 and exponent.dim() <= len(base.shape):
        number = exponent.item()
        whole = int(number) if float(number).is_integer() else number
        return node.call(aten.pow.Tensor_Scalar, base, whole if base.dtype.is_floating_point else number)
    result = node.call(aten.pow.Tensor_Tensor, base, exponent)
    return result if result.dtype == base.dtype else node.call(CAST, result, dtype=base.dtype)


@operator(*_VARIADIC)
def _variadic(node: Node) -> Any:
    operands = [node.x(k) for k in range(len(node.inputs))]
    return reduce(lambda a, b: _widened(node, _VARIADIC[node.op_type], a, b), operands)


@operator("Mean")
def _mean(node: Node) -> Any:
    operands = [node.x(k) for k in range(len(node.inputs))]
    total = reduce(lambda a, b: node.call(aten.add.Tensor, a, b), operands)
    return node.call(aten.div.Tensor, total, torch.tensor(float(len(operands)), dtype=total.dtype))


@operator("BitShift")
def _bit_shift(node: Node) -> Any:
    left = node.attr("direction") == "LEFT"
    target = aten.bitwise_left_shift.Tensor if left else aten.bitwise_right_shift.Tensor
    return _widened(node, target, node.x(0), node.x(1))


@operator("Clip")
def _clip(node: Node) -> Any:
    x = node.x()
    bounds = [node.attr("min"), node.attr("max")]
    bounds = [_bound(node, k + 1) if b is None else b for k, b in enumerate(bounds)]
    if all(b is None for b in bounds):
        return x
    if None not in bounds and x.dtype.is_floating_point:  # ReLU6 is one, too
        return node.call(aten.hardtanh.default, x, *bounds)
    return node.call(aten.clamp.default, x, *bounds)


def _bound(node: Node, position: int) -> Any:
    return node.numbers(position).item() if node.has(position) else None
