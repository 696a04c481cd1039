"""Pooling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.operators.convolution import padded, window_pads
from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_MAX = {1: aten.max_pool1d.default, 2: aten.max_pool2d.default, 3: aten.max_pool3d.default}
_MAX_INDICES = {2: aten.max_pool2d_with_indices.default, 3: aten.max_pool3d_with_indices.default}
_AVERAGE = {1: aten.avg_pool1d.default, 2: aten.avg_pool2d.default, 3: aten.avg_pool3d.default}
_ADAPTIVE_AVERAGE = {
    1: aten.adaptive_avg_pool1d.default,
    2: aten.adaptive_avg_pool2d.default,
    3: aten.adaptive_avg_pool3d.default,
}


@operator("GlobalAveragePool")
def _global_average(node: Node) -> Any:
    spatial = len(node.x().shape) - 2
    if spatial in _ADAPTIVE_AVERAGE:
        return node.call(_ADAPTIVE_AVERAGE[spatial], node.x(), [1] * spatial)
    return node.call(aten.mean.dim, node.x(), list(range(2, spatial + 2)), True)


@operator("GlobalMaxPool")
def _global_max(node: Node) -> Any:
    return node.call(aten.amax.default, node.x(), list(range(2, len(node.x().shape))), True)


@operator("GlobalLpPool")
def _global_lp(node: Node) -> Any:
    dims = list(range(2, len(node.x().shape)))
    return node.call(aten.linalg_vector_norm.default, node.x(), float(node.attr("p", 2)), dims, True)


class _Window:
    """A pooling window: sizes, strides, dilations, and the padding that ``ceil_mode`` adds."""

    def __init__(self, node: Node) -> None:
        shape = tuple(node.x().shape[2:])
        rank = len(shape)
        if rank not in _MAX:
            raise node.refuse(f"pooling over {rank} dimensions")
        self.rank = rank
        self.kernel = list(node.attr("kernel_shape"))
        self.strides = list(node.attr("strides") or [1] * rank)
        self.dilations = list(node.attr("dilations") or [1] * rank)
        self.before, self.after = window_pads(node, shape, self.kernel)
        self.missing = [0] * rank
        if node.attr("ceil_mode", 0):
            self.missing = [self._missing(d, shape[d]) for d in range(rank)]

    def _missing(self, d: int, size: int) -> int:
        """Positions beyond the padding that the last window reaches, if it starts inside the input."""
        reach = self.dilations[d] * (self.kernel[d] - 1) + 1
        room = size + self.before[d] + self.after[d] - reach
        steps = math.ceil(room / self.strides[d])
        if steps * self.strides[d] >= size + self.before[d]:
            steps -= 1
        return max(int(steps * self.strides[d] - room), 0)

    @property
    def symmetric(self) -> bool:
        """Whether torch's own padding argument can express the padding."""
        half = all(b <= k // 2 for b, k in zip(self.before, self.kernel, strict=True))
        return self.before == self.after and not any(self.missing) and half

    @property
    def ends(self) -> list[int]:
        """Padding after each dimension, with what ``ceil_mode`` adds."""
        return [a + m for a, m in zip(self.after, self.missing, strict=True)]


@operator("MaxPool")
def _max_pool(node: Node) -> Any:
    x, window = node.x(), _Window(node)
    floating = x.dtype.is_floating_point
    pads = window.before
    if not window.symmetric:
        lowest = float("-inf") if floating else torch.iinfo(x.dtype).min
        pads = [0] * window.rank
        padded_x = padded(node, x, window.before, window.ends, lowest)
    else:
        padded_x = x
    if node.wants(1):
        return _with_indices(node, padded_x, window, pads)
    if not floating:
        padded_x = node.call(CAST, padded_x, dtype=torch.float32)
    out = node.call(_MAX[window.rank], padded_x, window.kernel, window.strides, pads, window.dilations)
    return out if floating else node.call(CAST, out, dtype=x.dtype)


def _with_indices(node: Node, x: Any, window: _Window, pads: list[int]) -> Any:
    """Indices count over the whole tensor; torch counts over the positions of one channel."""
    if window.rank == 1 or not window.symmetric:
        raise node.refuse("indices of one-dimensional or unequally padded pooling")
    target = _MAX_INDICES[window.rank]
    out, places = node.call(target, x, window.kernel, window.strides, pads, window.dilations)
    batch, channels, *spatial = node.x().shape
    if node.attr("storage_order", 0):
        if len(spatial) != 2:
            raise node.refuse("column-major indices of three-dimensional pooling")
        height, width = spatial
        row = node.call(aten.div.Scalar_mode, places, width, rounding_mode="floor")
        column = node.call(aten.remainder.Scalar, places, width)
        places = node.call(aten.add.Tensor, node.call(aten.mul.Scalar, column, height), row)
    planes = torch.arange(batch * channels).reshape(batch, channels, *(1,) * len(spatial))
    return out, node.call(aten.add.Tensor, places, planes * math.prod(spatial))


@operator("AveragePool")
def _average_pool(node: Node) -> Any:
    """Sums over windows divided by what they hold: all of the padded window, or the input's part of it."""
    x, window = node.x(), _Window(node)
    count_pads = bool(node.attr("count_include_pad", 0))
    plain = all(d == 1 for d in window.dilations)
    if window.symmetric and plain:
        pads = (window.kernel, window.strides, window.before, False, count_pads)
        return node.call(_AVERAGE[window.rank], x, *pads)
    total = _window_sums(node, x, window, window.before, window.ends)
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype)
    if count_pads:
        ones = padded(node, ones, window.before, window.after, 1.0)
        counts = _window_sums(node, ones, window, [0] * window.rank, window.missing)
    else:
        counts = _window_sums(node, ones, window, window.before, window.ends)
    return node.call(aten.div.Tensor, total, counts)


def _window_sums(node: Node, x: Any, window: _Window, before: list[int], after: list[int]) -> Any:
    """Sums over the windows, by unfolding one dimension after the other."""
    x = padded(node, x, before, after)
    for d in range(window.rank):
        reach = window.dilations[d] * (window.kernel[d] - 1) + 1
        x = node.call(aten.unfold.default, x, d + 2, reach, window.strides[d])
        x = node.call(aten.slice.Tensor, x, -1, 0, reach, window.dilations[d])
        x = node.call(aten.sum.dim_IntList, x, [-1])
    return x


@operator("LpPool")
def _lp_pool(node: Node) -> Any:
    x, window, p = node.x(), _Window(node), float(node.attr("p", 2))
    powers = node.call(aten.pow.Tensor_Scalar, node.call(aten.abs.default, x), p)
    sums = _window_sums(node, powers, window, window.before, window.ends)
    return node.call(aten.pow.Tensor_Scalar, sums, 1 / p)


@operator("MaxUnpool")
def _max_unpool(node: Node) -> Any:
    """Scatter into zeros: the indices count over the whole result."""
    x, indices = node.x(0), node.x(1)
    rank = len(x.shape) - 2
    kernel, strides = node.attr("kernel_shape"), node.attr("strides") or [1] * rank
    pads = node.attr("pads") or [0] * 2 * rank
    inferred = [
        (n - 1) * s + k - pads[d] - pads[d + rank]
        for d, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
    ]
    shape = [*x.shape[:2], *inferred]
    wanted = node.ints("output_shape", 2) or shape
    zeros = torch.zeros(math.prod(shape), dtype=x.dtype)
    flat = [node.call(aten.reshape.default, v, [-1]) for v in (indices, x)]
    full = node.call(aten.scatter.src, zeros, 0, *flat)
    full = node.call(aten.reshape.default, full, shape)
    ends = [w - n for w, n in zip(wanted[2:], inferred, strict=True)]
    return padded(node, full, [0] * rank, ends) if any(ends) else full
