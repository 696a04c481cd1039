"""Quantised models: the stored integers are parameters, what they stand for is derived from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.frontends.onnx.operators.convolution import convolve
from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator
from wsgraph.frontends.onnx.tensors import dtype_of
from wsgraph.ir.graph import Value

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node
    from wsgraph.ir.graph import Op

__all__: list[str] = []

aten = torch.ops.aten

_RUNTIME = "com.microsoft"
"""onnxruntime's own domain, where its quantiser puts types that the model's opset does not have yet."""

_WHOLE = (torch.uint8, torch.int8, torch.uint16, torch.int16, torch.int32)


@operator("DequantizeLinear")
@operator("DequantizeLinear", domain=_RUNTIME)
def _dequantize(node: Node) -> Any:
    """``(x - zero_point) * scale``; of an initializer, a derived tensor that names all three."""
    lookup = _lookup(node)
    if lookup is not None:
        table, rows = lookup.args[:2]
        scale = node.emitter.initializers.parameter(node.x(1))
        zero = node.emitter.initializers.parameter(node.x(2)) if node.has(2) else None
        whole = _restored(node, table, scale, zero, scale.dtype)
        return node.call(aten.embedding.default, whole, rows)
    stored = isinstance(node.x(0), Tensor)
    role = node.emitter.initializers.parameter if stored else node.emitter.initializers.buffer
    x = node.emitter.initializers.parameter(node.x(0))
    scale = role(node.x(1))
    zero = role(node.x(2)) if node.has(2) else None
    kind = node.attr("output_dtype", 0)
    dtype = dtype_of(kind, str(node)) if kind else scale.dtype
    scale, zero = (_along(node, v, x) for v in (scale, zero))
    return _restored(node, x, scale, zero, dtype)


def _lookup(node: Node) -> Op | None:
    """The lookup in a stored table that makes the input, where all rows have one scale.

    The whole table is restored then, as where the network's exporter does it before the lookup.
    """
    x = node.x(0)
    if not isinstance(x, Value) or math.prod(node.x(1).shape) != 1:
        return None
    made = next((op for op in reversed(node.emitter.graph.ops) if x in op.outputs), None)
    return made if made is not None and made.key == "aten.embedding" else None


def _restored(node: Node, x: Any, scale: Any, zero: Any, dtype: torch.dtype) -> Any:
    wide = torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
    number = node.call(CAST, x, dtype=wide)
    if zero is not None:
        number = node.call(aten.sub.Tensor, number, node.call(CAST, zero, dtype=wide))
    if scale.dtype != wide:
        scale = node.call(CAST, scale, dtype=wide)
    result = node.call(aten.mul.Tensor, number, scale)
    return result if wide == dtype else node.call(CAST, result, dtype=dtype)


def _along(node: Node, p: Value | Tensor | None, x: Value | Tensor) -> Any:
    """A scale or zero point so that it broadcasts: one number, one a slice, or one a block of ``axis``."""
    if p is None or not p.shape:
        return p
    if len(p.shape) == 1 and len(x.shape) and not node.attr("block_size", 0):
        if p.shape[0] == 1:
            return node.call(aten.reshape.default, p, [])
        shape = [1] * len(x.shape)
        shape[node.attr("axis", 1)] = p.shape[0]
        return node.call(aten.reshape.default, p, shape)
    if tuple(p.shape) == tuple(x.shape):
        return p
    axis, block = node.attr("axis", 1) % len(x.shape), node.attr("block_size", 0)
    wide = node.call(aten.repeat_interleave.self_int, p, block, axis)
    return node.call(aten.slice.Tensor, wide, axis, 0, x.shape[axis])


@operator("QuantizeLinear")
@operator("QuantizeLinear", domain=_RUNTIME)
def _quantize(node: Node) -> Any:
    x, scale = node.x(0), node.emitter.initializers.buffer(node.x(1))
    zero = node.emitter.initializers.buffer(node.x(2)) if node.has(2) else None
    kind = node.attr("output_dtype", 0)
    dtype = dtype_of(kind, str(node)) if kind else torch.uint8 if zero is None else zero.dtype
    if dtype not in _WHOLE:
        raise node.refuse(f"quantisation to {dtype}")
    return _quantized(node, x, _along(node, scale, x), _along(node, zero, x), dtype)


def _quantized(node: Node, x: Any, scale: Any, zero: Any, dtype: torch.dtype) -> Any:
    """``clamp(round(x / scale) + zero_point)``, halves to even."""
    if scale.dtype != x.dtype:
        scale = node.call(CAST, scale, dtype=x.dtype)
    number = node.call(aten.round.default, node.call(aten.div.Tensor, x, scale))
    number = node.call(CAST, number, dtype=torch.float32)
    if zero is not None:
        number = node.call(aten.add.Tensor, number, node.call(CAST, zero, dtype=torch.float32))
    info = torch.iinfo(dtype)
    bounded = node.call(aten.clamp.default, number, info.min, info.max)
    return node.call(CAST, bounded, dtype=dtype)


def _operand(node: Node, position: int, axis: int | None = None) -> Any:
    """What a quantised operand stands for; its scale and zero point are the next two inputs."""
    initializers = node.emitter.initializers
    stored = isinstance(node.x(position), Tensor)
    role = initializers.parameter if stored else initializers.buffer
    x = initializers.parameter(node.x(position))
    scale, zero = (_spread(node, role(node.x(position + k)), x, axis) for k in (1, 2))
    return _restored(node, x, scale, zero, torch.float32)


def _spread(node: Node, p: Any, x: Any, axis: int | None) -> Any:
    if p.shape in ((), (1,)):
        return node.call(aten.reshape.default, p, [])
    if len(p.shape) > 1:
        return p
    shape = [1] * len(x.shape)
    shape[-1 if axis is None else axis] = p.shape[0]
    return node.call(aten.reshape.default, p, shape)


def _result(node: Node, number: Any, position: int) -> Any:
    scale, zero = (node.emitter.initializers.buffer(node.x(position + k)) for k in (0, 1))
    dtype = zero.dtype
    return _quantized(
        node, number, _spread(node, scale, number, None), _spread(node, zero, number, None), dtype
    )


@operator("QLinearMatMul")
def _q_matmul(node: Node) -> Any:
    a, b = _operand(node, 0, -2 if len(node.x(0).shape) > 1 else None), _operand(node, 3)
    return _result(node, node.call(aten.matmul.default, a, b), 6)


@operator("QLinearConv")
def _q_conv(node: Node) -> Any:
    x, weight = _operand(node, 0), _operand(node, 3, 0)
    bias = None
    if node.has(8):
        scales = [node.emitter.initializers.buffer(node.x(k)) for k in (1, 4)]
        scale = node.call(aten.mul.Tensor, scales[1], scales[0])
        stored = node.emitter.initializers.parameter(node.x(8))
        bias = _restored(node, stored, _spread(node, scale, stored, 0), None, torch.float32)
    return _result(node, convolve(node, x, weight, bias), 6)


@operator("MatMulInteger", "ConvInteger")
def _integer_product(node: Node) -> Any:
    """Exact in float32: sums of products of bytes stay below 2**24 for up to 256 terms; float64 otherwise."""
    initializers = node.emitter.initializers
    sides = []
    for k in (0, 1):
        wide = node.call(CAST, initializers.parameter(node.x(k)), dtype=torch.float64)
        if node.has(k + 2):
            zero = node.call(CAST, initializers.buffer(node.x(k + 2)), dtype=torch.float64)
            axis = -2 if k == 0 else -1 if node.op_type == "MatMulInteger" else 0
            wide = node.call(aten.sub.Tensor, wide, _spread(node, zero, wide, axis))
        sides.append(wide)
    if node.op_type == "ConvInteger":
        product = convolve(node, sides[0], sides[1], None)
    else:
        product = node.call(aten.matmul.default, *sides)
    return node.call(CAST, product, dtype=torch.int32)
