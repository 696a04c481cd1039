"""Convolutions and transposed convolutions in one, two and three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.frontends.onnx.node import Node
    from wsgraph.ir.graph import Value

__all__ = ["convolve", "padded", "window_pads"]

aten = torch.ops.aten

_CONV = {1: aten.conv1d.default, 2: aten.conv2d.default, 3: aten.conv3d.default}
_TRANSPOSED = {
    1: aten.conv_transpose1d.default,
    2: aten.conv_transpose2d.input,
    3: aten.conv_transpose3d.input,
}


def window_pads(
    node: Node, shape: tuple[int, ...], kernel: list[int], ceil: bool = False
) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial dimension, ``auto_pad`` worked out.

    Args:
        node: a convolution or pooling with ``strides``, ``dilations``, ``pads`` and ``auto_pad``.
        shape: the spatial sizes of what the window slides over.
        kernel: the window's sizes.
        ceil: whether the last, incomplete window counts (pooling).
    """
    rank = len(shape)
    auto = node.attr("auto_pad", "NOTSET")
    pads = node.attr("pads") or [0] * 2 * rank
    if auto in ("NOTSET", ""):
        return list(pads[:rank]), list(pads[rank:])
    if auto == "VALID":
        return [0] * rank, [0] * rank
    strides, dilations = node.attr("strides") or [1] * rank, node.attr("dilations") or [1] * rank
    before, after = [], []
    for size, k, stride, dilation in zip(shape, kernel, strides, dilations, strict=True):
        steps = size // stride if ceil and auto == "NEVER" else -(-size // stride)
        total = max((steps - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        small = total // 2
        before.append(small if auto == "SAME_UPPER" else total - small)
        after.append(total - before[-1])
    return before, after


def padded(node: Node, x: Value | Tensor, before: list[int], after: list[int], value: float = 0.0) -> Any:
    """Constant padding of the last dimensions."""
    pads = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
    return node.call(aten.constant_pad_nd.default, x, pads, value)


def convolve(node: Node, x: Any, weight: Any, bias: Any) -> Any:
    """The convolution that a node's attributes describe."""
    rank = len(weight.shape) - 2
    if rank not in _CONV:
        raise node.refuse(f"a convolution over {rank} dimensions")
    before, after = window_pads(node, tuple(x.shape[2:]), list(weight.shape[2:]))
    if before != after:
        x = padded(node, x, before, after)
        before = [0] * rank
    strides, dilations = node.attr("strides") or [1] * rank, node.attr("dilations") or [1] * rank
    return node.call(_CONV[rank], x, weight, bias, strides, before, dilations, node.attr("group", 1))


@operator("Conv")
def _conv(node: Node) -> Any:
    return convolve(node, node.x(0), node.x(1), node.bias())


@operator("ConvTranspose")
def _conv_transpose(node: Node) -> Any:
    """Unequal pads are cut off the full result afterwards; missing rows come from output padding."""
    x, weight = node.x(0), node.x(1)
    rank = len(weight.shape) - 2
    if rank not in _TRANSPOSED:
        raise node.refuse(f"a transposed convolution over {rank} dimensions")
    strides, dilations = node.attr("strides") or [1] * rank, node.attr("dilations") or [1] * rank
    extra = list(node.attr("output_padding") or [0] * rank)
    full = [
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(x.shape[2:], strides, dilations, weight.shape[2:], strict=True)
    ]
    before, after = _cut(node, full, strides, extra)
    equal = before == after and all(n >= 0 for n in before)
    common = before if equal else [0] * rank
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise node.refuse("an output padding of a stride or more")
    settings = (strides, common, extra, node.attr("group", 1), dilations)
    out = node.call(_TRANSPOSED[rank], x, weight, node.bias(), *settings)
    return out if equal else _trimmed(node, out, before, after)


def _trimmed(node: Node, out: Any, before: list[int], after: list[int]) -> Any:
    """Cut the full result; an output shape beyond it is filled with zeros."""
    missing = [max(-n, 0) for n in after]
    if any(missing):
        if node.bias() is not None or any(n < 0 for n in before):
            raise node.refuse("an output shape beyond the full result")
        out = padded(node, out, [0] * len(missing), missing)
    for dim, (start, end) in enumerate(zip(before, after, strict=True), start=2):
        if start or end > 0:
            out = node.call(aten.slice.Tensor, out, dim, start, out.shape[dim] - max(end, 0))
    return out


def _cut(node: Node, full: list[int], strides: list[int], extra: list[int]) -> tuple[list[int], list[int]]:
    """How much of the full result is cut off before and after each dimension."""
    rank = len(full)
    wanted = node.attr("output_shape")
    auto = node.attr("auto_pad", "NOTSET")
    if wanted is None and auto.startswith("SAME"):
        sizes = node.x(0).shape[2:]
        wanted = [n * s for n, s in zip(sizes, strides, strict=True)]
    if wanted is None:
        pads = node.attr("pads") or [0] * 2 * rank
        return list(pads[:rank]), list(pads[rank:])
    total = [f + e - w for f, e, w in zip(full, extra, wanted[-rank:], strict=True)]
    before = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
    return before, [t - b for t, b in zip(total, before, strict=True)]


@operator("Col2Im")
def _col2im(node: Node) -> Any:
    size, block = node.ints("size", 1) or [], node.ints("block", 2) or []
    if len(size) != 2:
        raise node.refuse(f"columns of {len(size)} dimensions")
    pads = node.attr("pads") or [0] * 4
    if pads[:2] != pads[2:]:
        raise node.refuse("unequal padding")
    strides, dilations = node.attr("strides") or [1, 1], node.attr("dilations") or [1, 1]
    return node.call(aten.col2im.default, node.x(), size, block, dilations, pads[:2], strides)
