"""Activation functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_PLAIN = {
    "Relu": aten.relu.default,
    "Sigmoid": aten.sigmoid.default,
    "Tanh": aten.tanh.default,
    "HardSwish": aten.hardswish.default,
    "Mish": aten.mish.default,
}

_SELU = (1.67326319217681884765625, 1.05070102214813232421875)
"""ONNX's numbers for alpha and gamma."""


@operator(*_PLAIN)
def _plain(node: Node) -> Any:
    return node.call(_PLAIN[node.op_type], node.x())


@operator("Softplus")
def _softplus(node: Node) -> Any:
    return node.call(aten.softplus.default, node.x())


@operator("Softsign")
def _softsign(node: Node) -> Any:
    size = node.call(aten.abs.default, node.x())
    one = torch.ones((), dtype=size.dtype)
    return node.call(aten.div.Tensor, node.x(), node.call(aten.add.Tensor, size, one))


@operator("LeakyRelu")
def _leaky_relu(node: Node) -> Any:
    return node.call(aten.leaky_relu.default, node.x(), node.attr("alpha", 0.01))


@operator("Elu")
def _elu(node: Node) -> Any:
    return node.call(aten.elu.default, node.x(), node.attr("alpha", 1.0))


@operator("Selu")
def _selu(node: Node) -> Any:
    alpha, gamma = node.attr("alpha", _SELU[0]), node.attr("gamma", _SELU[1])
    if (round(alpha, 4), round(gamma, 4)) == tuple(round(n, 4) for n in _SELU):  # exporters cut them off
        return node.call(aten.selu.default, node.x())
    return node.call(aten.elu.default, node.x(), alpha, gamma)


@operator("Celu")
def _celu(node: Node) -> Any:
    return node.call(aten.celu.default, node.x(), node.attr("alpha", 1.0))


@operator("Gelu")
def _gelu(node: Node) -> Any:
    return node.call(aten.gelu.default, node.x(), approximate=node.attr("approximate", "none"))


@operator("Swish")
def _swish(node: Node) -> Any:
    alpha = node.attr("alpha", 1.0)
    if alpha == 1.0:
        return node.call(aten.silu.default, node.x())
    scaled = node.call(aten.mul.Tensor, node.x(), torch.tensor(alpha, dtype=node.x().dtype))
    return node.call(aten.mul.Tensor, node.x(), node.call(aten.sigmoid.default, scaled))


@operator("HardSigmoid")
def _hard_sigmoid(node: Node) -> Any:
    x, alpha, beta = node.x(), node.attr("alpha", 0.2), node.attr("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return node.call(aten.hardsigmoid.default, x)
    scaled = node.call(aten.mul.Tensor, x, torch.tensor(alpha, dtype=x.dtype))
    shifted = node.call(aten.add.Tensor, scaled, torch.tensor(beta, dtype=x.dtype))
    return node.call(aten.clamp.default, shifted, 0.0, 1.0)


@operator("ThresholdedRelu")
def _thresholded_relu(node: Node) -> Any:
    return node.call(aten.threshold.default, node.x(), node.attr("alpha", 1.0), 0.0)


@operator("Shrink")
def _shrink(node: Node) -> Any:
    x, bias, bound = node.x(), node.attr("bias", 0.0), node.attr("lambd", 0.5)
    if not x.dtype.is_floating_point:
        wide = node.call(CAST, x, dtype=torch.float32)
        return node.call(CAST, _shrunk(node, wide, bias, bound), dtype=x.dtype)
    return _shrunk(node, x, bias, bound)


def _shrunk(node: Node, x: Any, bias: float, bound: float) -> Any:
    """``x + bias`` below ``-bound``, ``x - bias`` above ``bound``, zero between."""
    if bias == bound:
        return node.call(aten.softshrink.default, x, bound)
    shift = node.call(aten.mul.Tensor, node.call(aten.sign.default, x), torch.tensor(bias, dtype=x.dtype))
    kept = node.call(aten.hardshrink.default, x, bound)
    moved = node.call(aten.sub.Tensor, kept, shift)
    return node.call(aten.where.self, node.call(aten.ne.Scalar, kept, 0), moved, kept)


@operator("PRelu")
def _prelu(node: Node) -> Any:
    x, slope = node.x(0), node.x(1)
    rank = len(x.shape)
    each = ([1] * rank + list(slope.shape))[-rank:]  # the slope's shape, as it is broadcast
    if rank > 1 and len(slope.shape) <= rank and each in ([1, n, *[1] * (rank - 2)] for n in (1, x.shape[1])):
        return node.call(aten.prelu.default, x, node.call(aten.reshape.default, slope, [-1]))
    if node.opset < 9 and rank > 2 and tuple(slope.shape) == (x.shape[1],):
        return node.call(aten.prelu.default, x, slope)  # at first a vector meant the channels
    negative = node.call(aten.mul.Tensor, slope, x)
    return node.call(aten.where.self, node.call(aten.lt.Scalar, x, 0), negative, x)


@operator("Softmax", "LogSoftmax", since=13)
def _softmax(node: Node) -> Any:
    target = aten.softmax.int if node.op_type == "Softmax" else aten.log_softmax.int
    return node.call(target, node.x(), node.attr("axis", -1))


@operator("Softmax", "LogSoftmax", "Hardmax")
def _softmax_flat(node: Node) -> Any:
    """Before opset 13 everything from ``axis`` on is one dimension."""
    x = node.x()
    rank = len(x.shape)
    axis = node.attr("axis", 1) % max(rank, 1)
    if axis == rank - 1 or all(n == 1 for n in x.shape[axis + 1 :]):
        return _over(node, x, axis)
    flat = node.call(aten.flatten.using_ints, x, axis, -1)
    return node.call(aten.reshape.default, _over(node, flat, axis), list(x.shape))


@operator("Hardmax", since=13)
def _hardmax(node: Node) -> Any:
    return _over(node, node.x(), node.attr("axis", -1))


def _over(node: Node, x: Any, axis: int) -> Any:
    if node.op_type != "Hardmax":
        return node.call(aten.softmax.int if node.op_type == "Softmax" else aten.log_softmax.int, x, axis)
    best = node.call(aten.argmax.default, x, axis, keepdim=True)
    shape = [1] * len(x.shape)
    shape[axis] = x.shape[axis]
    places = torch.arange(x.shape[axis]).reshape(shape)
    return node.call(CAST, node.call(aten.eq.Tensor, best, places), dtype=x.dtype)
