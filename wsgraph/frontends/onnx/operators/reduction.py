"""Sums, means, extremes, norms, positions of extremes, running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_NAMES = (
    *("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)


@operator(*_NAMES)
def _reduce(node: Node) -> Any:
    x = node.x()
    axes = node.ints("axes", 1)
    if axes is None or not axes:
        if node.attr("noop_with_empty_axes", 0):
            return _elementwise(node, x)
        axes = list(range(len(x.shape)))
    return _over(node, x, [a % max(len(x.shape), 1) for a in axes], bool(node.attr("keepdims", 1)))


def _elementwise(node: Node, x: Any) -> Any:
    """Without axes and told to reduce nothing, only what happens to each element remains."""
    if node.op_type in ("ReduceL1", "ReduceL2"):
        return node.call(aten.abs.default, x)
    if node.op_type == "ReduceSumSquare":
        return node.call(aten.mul.Tensor, x, x)
    return node.call(aten.log.default, x) if node.op_type == "ReduceLogSum" else x


def _over(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    kind = node.op_type.removeprefix("Reduce")
    if kind in ("Max", "Min"):
        return _extreme(node, x, axes, keep)
    if kind == "Prod":
        for axis in sorted(axes, reverse=True):
            x = node.call(aten.prod.dim_int, x, axis, keep)
        return x
    if kind in ("L1", "L2"):
        return _norm(node, x, axes, keep)
    if kind in ("Mean", "LogSumExp"):
        return node.call(aten.mean.dim if kind == "Mean" else aten.logsumexp.default, x, axes, keep)
    if kind == "SumSquare":
        x = node.call(aten.mul.Tensor, x, x)
    total = node.call(aten.sum.dim_IntList, x, axes, keep, dtype=x.dtype)
    return node.call(aten.log.default, total) if kind == "LogSum" else total


def _norm(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    """Torch has norms of floating-point numbers only."""
    order = 1 if node.op_type == "ReduceL1" else 2
    if x.dtype.is_floating_point:
        return node.call(aten.linalg_vector_norm.default, x, order, axes, keep)
    wide = node.call(CAST, x, dtype=torch.float64)
    norm = node.call(aten.linalg_vector_norm.default, wide, order, axes, keep)
    return node.call(CAST, norm, dtype=x.dtype)


def _extreme(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    largest = node.op_type == "ReduceMax"
    if any(x.shape[a] == 0 for a in axes):
        return _extreme_of_nothing(node, x, axes, keep)
    return node.call(aten.amax.default if largest else aten.amin.default, x, axes, keep)


def _extreme_of_nothing(node: Node, x: Any, axes: list[int], keep: bool) -> Any:
    shape = [1 if d in axes else n for d, n in enumerate(x.shape) if keep or d not in axes]
    largest = node.op_type == "ReduceMax"
    if x.dtype.is_floating_point:
        return torch.full((), float("-inf") if largest else float("inf"), dtype=x.dtype).expand(shape)
    if x.dtype == torch.bool:
        return torch.tensor(not largest).expand(shape)
    info = torch.iinfo(x.dtype)
    return torch.full((), info.min if largest else info.max, dtype=x.dtype).expand(shape)


@operator("ArgMax", "ArgMin")
def _arg_extreme(node: Node) -> Any:
    """The first of equal elements, or the last where asked for."""
    x, axis = node.x(), node.attr("axis", 0) % len(node.x().shape)
    keep = bool(node.attr("keepdims", 1))
    target = aten.argmax.default if node.op_type == "ArgMax" else aten.argmin.default
    if not node.attr("select_last_index", 0):
        return node.call(target, x, axis, keep)
    turned = node.call(aten.flip.default, x, [axis])
    found = node.call(target, turned, axis, keep)
    return node.call(aten.rsub.Scalar, found, x.shape[axis] - 1)


@operator("CumSum", "CumProd")
def _cumulate(node: Node) -> Any:
    x = node.x()
    axis = int(node.numbers(1)) % len(x.shape)
    target = aten.cumsum.default if node.op_type == "CumSum" else aten.cumprod.default
    if node.attr("reverse", 0):
        x = node.call(aten.flip.default, x, [axis])
    if node.attr("exclusive", 0):
        before = [0] * (2 * (len(x.shape) - axis - 1)) + [1, 0]
        start = 0 if node.op_type == "CumSum" else 1
        x = node.call(aten.constant_pad_nd.default, x, before, start)
        x = node.call(aten.slice.Tensor, x, axis, 0, x.shape[axis] - 1)
    result = node.call(target, x, axis, dtype=x.dtype)
    return node.call(aten.flip.default, result, [axis]) if node.attr("reverse", 0) else result
