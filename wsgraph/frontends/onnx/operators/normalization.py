"""Normalisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten


@operator("BatchNormalization")
def _batch_norm(node: Node) -> Any:
    x, scale, shift, mean, variance = (node.x(k) for k in range(5))
    if node.attr("training_mode", 0) or (node.opset < 7 and not node.attr("is_test", 0)):
        raise node.refuse("training mode")
    mean, variance = (node.emitter.initializers.buffer(v) for v in (mean, variance))
    momentum, eps = 1 - node.attr("momentum", 0.9), node.attr("epsilon", 1e-5)
    scale, shift = _affine(node, scale, shift)
    if scale is not None and scale.dtype != x.dtype:
        scale, shift = (node.call(CAST, v, dtype=x.dtype) for v in (scale, shift))
    if mean.dtype != x.dtype:
        mean, variance = (node.call(CAST, v, dtype=x.dtype) for v in (mean, variance))
    statistics = (mean, variance, False, round(momentum, 6), eps, True)
    return node.call(aten.batch_norm.default, x, scale, shift, *statistics)


@operator("InstanceNormalization")
def _instance_norm(node: Node) -> Any:
    x, eps = node.x(), node.attr("epsilon", 1e-5)
    scale, shift = _affine(node, node.x(1), node.x(2))
    # torch's own instance norm takes no single position; group norm with one channel a group is the same.
    if len(x.shape) == 2:
        return node.call(aten.group_norm.default, x, x.shape[1], scale, shift, eps)
    return node.call(aten.instance_norm.default, x, scale, shift, None, None, True, 0.1, eps, True)


def _affine(node: Node, scale: Any, shift: Any) -> tuple[Any, Any]:
    """Scale and shift; None for both where they are constants that change nothing."""
    initializers = node.emitter.initializers
    if initializers.repeats(scale, 1.0) and initializers.repeats(shift, 0.0):
        return None, None
    return scale, shift


@operator("GroupNormalization", since=21)
def _group_norm(node: Node) -> Any:
    groups, eps = node.attr("num_groups"), node.attr("epsilon", 1e-5)
    return node.call(aten.group_norm.default, node.x(0), groups, node.x(1), node.x(2), eps)


@operator("GroupNormalization", since=18)
def _group_norm_per_group(node: Node) -> Any:
    """At first the scale and shift were one a group, shared by its channels."""
    x, groups = node.x(0), node.attr("num_groups")
    each = x.shape[1] // groups
    scale, shift = (
        node.call(
            aten.reshape.default,
            node.call(aten.expand.default, node.call(aten.unsqueeze.default, node.x(k), 1), [groups, each]),
            [-1],
        )
        for k in (1, 2)
    )
    return node.call(aten.group_norm.default, x, groups, scale, shift, node.attr("epsilon", 1e-5))


@operator("LayerNormalization")
def _layer_norm(node: Node) -> Any:
    x, shift = node.x(0), node.bias(2)
    plain = shift is None and node.emitter.initializers.repeats(node.x(1), 1.0)
    scale = None if plain else node.x(1)
    axis = node.attr("axis", -1) % len(x.shape)
    shape = list(x.shape[axis:])
    eps = node.attr("epsilon", 1e-5)
    scale, shift = (_shaped(node, p, shape) for p in (scale, shift))
    out = node.call(aten.layer_norm.default, x, shape, scale, shift, eps)
    if not (node.wants(1) or node.wants(2)):
        return out
    dims = list(range(axis, len(x.shape)))
    mean = node.call(aten.mean.dim, x, dims, True)
    variance = node.call(aten.var.correction, x, dims, correction=0, keepdim=True)
    spread = node.call(aten.add.Tensor, variance, torch.tensor(eps, dtype=variance.dtype))
    return out, mean, node.call(aten.rsqrt.default, spread)


def _shaped(node: Node, p: Any, shape: list[int]) -> Any:
    """A scale or shift in the normalised shape; ONNX lets it be broadcast."""
    if p is None or list(p.shape) == shape:
        return p
    return node.call(aten.expand.default, p, shape)


@operator("RMSNormalization")
def _rms_norm(node: Node) -> Any:
    x, scale = node.x(0), node.x(1)
    axis = node.attr("axis", -1) % len(x.shape)
    shape = list(x.shape[axis:])
    return node.call(aten.rms_norm.default, x, shape, _shaped(node, scale, shape), node.attr("epsilon", 1e-5))


@operator("LpNormalization")
def _lp_normalization(node: Node) -> Any:
    x, axis, p = node.x(), node.attr("axis", -1), node.attr("p", 2)
    norm = node.call(aten.linalg_vector_norm.default, x, p, [axis], True)
    zero = node.call(aten.eq.Scalar, norm, 0)
    safe = node.call(aten.where.self, zero, torch.ones((), dtype=x.dtype), norm)
    return node.call(aten.div.Tensor, x, safe)


@operator("LRN")
def _lrn(node: Node) -> Any:
    """Local response normalisation: squares summed over ``size`` neighbouring channels."""
    x, size = node.x(), node.attr("size")
    alpha, beta, bias = node.attr("alpha", 1e-4), node.attr("beta", 0.75), node.attr("bias", 1.0)
    squares = node.call(aten.mul.Tensor, x, x)
    before = (size - 1) // 2
    spatial = len(x.shape) - 2
    pads = [0, 0] * spatial + [before, size - 1 - before]
    squares = node.call(aten.constant_pad_nd.default, squares, pads, 0.0)
    windows = node.call(aten.unfold.default, squares, 1, size, 1)
    sums = node.call(aten.sum.dim_IntList, windows, [-1])
    scaled = node.call(aten.mul.Tensor, sums, torch.tensor(alpha / size, dtype=x.dtype))
    base = node.call(aten.add.Tensor, scaled, torch.tensor(bias, dtype=x.dtype))
    return node.call(aten.div.Tensor, x, node.call(aten.pow.Tensor_Scalar, base, beta))
