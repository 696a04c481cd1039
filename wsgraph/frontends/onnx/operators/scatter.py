"""Writing elements by index, which gives a new tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.operators.indexing import nonnegative
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", "Scatter")
def _scatter_elements(node: Node) -> Any:
    x, axis = node.x(0), node.attr("axis", 0)
    indices = nonnegative(node, node.x(1), x.shape[axis])
    how = node.attr("reduction", "none")
    if how == "none":
        return node.call(aten.scatter.src, x, axis, indices, node.x(2))
    return node.call(aten.scatter_reduce.two, x, axis, indices, node.x(2), _REDUCTIONS[how])


@operator("ScatterND")
def _scatter_nd(node: Node) -> Any:
    """The tensor as rows of its last dimensions, each written whole."""
    x, indices, updates = node.x(0), node.x(1), node.x(2)
    depth = indices.shape[-1]
    columns = [
        nonnegative(node, node.call(aten.select.int, indices, -1, k), x.shape[k]) for k in range(depth)
    ]
    how = node.attr("reduction", "none")
    if how in ("none", "add"):
        return node.call(aten.index_put.default, x, columns, updates, how == "add")
    return _reduced(node, columns, _REDUCTIONS[how])


def _reduced(node: Node, columns: list[Any], how: str) -> Any:
    x, updates = node.x(0), node.x(2)
    leading, trailing = list(x.shape[: len(columns)]), list(x.shape[len(columns) :])
    row = columns[0]
    for size, column in zip(leading[1:], columns[1:], strict=True):
        row = node.call(aten.add.Tensor, node.call(aten.mul.Tensor, row, torch.tensor(size)), column)
    count = 1
    for n in row.shape:
        count *= n
    flat = node.call(aten.reshape.default, row, [count, *(1,) * len(trailing)])
    flat = node.call(aten.expand.default, flat, [count, *trailing])
    rows = node.call(aten.reshape.default, x, [-1, *trailing])
    source = node.call(aten.reshape.default, updates, [count, *trailing])
    result = node.call(aten.scatter_reduce.two, rows, 0, flat, source, how)
    return node.call(aten.reshape.default, result, list(x.shape))
