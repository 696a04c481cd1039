"""Picking elements by index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator
from wsgraph.ir.graph import Value, ValueKind

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__ = ["nonnegative"]

aten = torch.ops.aten


def nonnegative(node: Node, indices: Value | Tensor, size: int) -> Any:
    """Indices as torch takes them: int64, those from the end counted from the start."""
    if isinstance(indices, Tensor):
        whole = indices.long()
        return torch.where(whole < 0, whole + size, whole)
    if indices.dtype != torch.int64:
        indices = node.call(CAST, indices, dtype=torch.int64)
    # Only a constant can be seen to be negative; what the input decides counts from the start or the end.
    wrapped = node.call(aten.add.Tensor, indices, torch.tensor(size))
    return node.call(aten.where.self, node.call(aten.lt.Scalar, indices, 0), wrapped, indices)


@operator("Gather")
def _gather(node: Node) -> Any:
    """An embedding where a stored table is looked up by its rows, a selection otherwise."""
    x, indices = node.x(0), node.x(1)
    axis = node.attr("axis", 0) % len(x.shape)
    if x.dtype in (torch.int8, torch.uint8) and isinstance(indices, Value):
        x = node.emitter.initializers.parameter(x)  # a quantised table of an embedding
    if axis == 0 and len(x.shape) == 2 and _is_table(x) and _is_lookup(indices):
        return node.call(aten.embedding.default, x, _row_numbers(node, indices, x.shape[0]))
    if isinstance(indices, Tensor):
        places = nonnegative(node, indices, x.shape[axis])
        if places.dim() == 0:
            return node.call(aten.select.int, x, axis, int(places))
        return _selected(node, x, axis, places)
    return _selected(node, x, axis, nonnegative(node, indices, x.shape[axis]))


def _is_table(x: Value | Tensor) -> bool:
    return isinstance(x, Value) and x.kind is ValueKind.PARAMETER


def _is_lookup(indices: Value | Tensor) -> bool:
    return isinstance(indices, Value) or indices.dim() > 1


def _row_numbers(node: Node, indices: Value | Tensor, rows: int) -> Any:
    """Token numbers; exporters never count rows from the end."""
    if isinstance(indices, Tensor):
        return nonnegative(node, indices, rows)
    if indices.dtype == torch.int64:
        return indices
    return node.call(CAST, indices, dtype=torch.int64)


def _selected(node: Node, x: Value | Tensor, axis: int, places: Value | Tensor) -> Any:
    rank = len(places.shape)
    flat = places if rank == 1 else node.call(aten.reshape.default, places, [-1])
    picked = node.call(aten.index_select.default, x, axis, flat)
    if rank == 1:
        return picked
    shape = [*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]]
    return node.call(aten.reshape.default, picked, shape)


@operator("GatherElements")
def _gather_elements(node: Node) -> Any:
    x, axis = node.x(0), node.attr("axis", 0)
    return node.call(aten.gather.default, x, axis, nonnegative(node, node.x(1), x.shape[axis]))


@operator("GatherND")
def _gather_nd(node: Node) -> Any:
    x, indices, batch = node.x(0), node.x(1), node.attr("batch_dims", 0)
    depth = indices.shape[-1]
    columns = []
    for k in range(batch):
        shape = [1] * (len(indices.shape) - 1)
        shape[k] = x.shape[k]
        columns.append(torch.arange(x.shape[k]).reshape(shape))
    for k in range(depth):
        column = node.call(aten.select.int, indices, -1, k)
        columns.append(nonnegative(node, column, x.shape[batch + k]))
    return node.call(aten.index.Tensor, x, columns)


@operator("OneHot", since=9)
def _one_hot(node: Node) -> Any:
    indices, depth, values = node.x(0), int(node.numbers(1)), node.x(2)
    axis = node.attr("axis", -1)
    rank = len(indices.shape) + 1
    places = nonnegative(node, indices, depth)
    shape = [1] * rank
    shape[axis] = depth
    wide = node.call(aten.unsqueeze.default, places, axis)
    hot = node.call(aten.eq.Tensor, wide, torch.arange(depth).reshape(shape))
    on, off = (node.call(aten.select.int, values, 0, k) for k in (1, 0))
    return node.call(aten.where.self, hot, on, off)


@operator("Compress")
def _compress(node: Node) -> Any:
    x, axis = node.x(), node.attr("axis")
    if axis is None:
        x, axis = node.call(aten.reshape.default, x, [-1]), 0
    return node.call(aten.index_select.default, x, axis, node.numbers(1).reshape(-1).nonzero().flatten())


@operator("NonZero")
def _non_zero(node: Node) -> Any:
    return node.numbers(0).nonzero().t().contiguous()


@operator("TopK", since=10)
def _top_k(node: Node) -> Any:
    return _best(node, int(node.numbers(1)), bool(node.attr("largest", 1)))


@operator("TopK")
def _top_k_by_attribute(node: Node) -> Any:
    return _best(node, node.attr("k"), largest=True)


def _best(node: Node, k: int, largest: bool) -> Any:
    """The first of equal elements comes first, as a stable sort has it."""
    axis = node.attr("axis", -1)
    ordered = node.call(aten.sort.stable, node.x(), stable=True, dim=axis, descending=largest)
    return tuple(node.call(aten.slice.Tensor, part, axis, 0, k) for part in ordered)
