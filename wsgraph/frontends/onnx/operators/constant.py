"""Constants, and what becomes one because shapes are known: Shape, Size, Range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.frontends.onnx.registry import operator
from wsgraph.frontends.onnx.tensors import dtype_of

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten


@operator("Constant")
def _constant(node: Node) -> Any:
    """A weight where it has several floating-point numbers: some exporters have no initializers."""
    for name, dtype in (
        ("value_float", torch.float32),
        ("value_floats", torch.float32),
        ("value_int", torch.int64),
        ("value_ints", torch.int64),
    ):
        if name in node.attributes:
            return torch.tensor(node.attr(name), dtype=dtype)
    tensor = node.attr("value")
    if not isinstance(tensor, Tensor):
        raise node.refuse("a constant that is text or sparse")
    if tensor.dtype.is_floating_point and tensor.numel() > 1:
        name = node.emitter.fresh_name(node.outputs[0])
        return node.emitter.initializers.add(name, tensor)
    return tensor


@operator("ConstantOfShape")
def _constant_of_shape(node: Node) -> Any:
    """One number seen as a large tensor: nothing of its size is stored."""
    value = node.attr("value")
    number = torch.zeros(()) if value is None else value.reshape(())
    return number.expand([int(n) for n in node.numbers(0).tolist()])


@operator("Shape")
def _shape(node: Node) -> Any:
    shape = node.x().shape
    return torch.tensor(shape[slice(node.attr("start", 0), node.attr("end"))], dtype=torch.int64)


@operator("Size")
def _size(node: Node) -> Any:
    return torch.tensor(math.prod(node.x().shape), dtype=torch.int64)


@operator("Range")
def _range(node: Node) -> Any:
    start, limit, delta = (node.numbers(k) for k in range(3))
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@operator("EyeLike")
def _eye_like(node: Node) -> Any:
    rows, columns = node.x().shape
    kind = node.attr("dtype")
    dtype = node.x().dtype if kind is None else dtype_of(kind, str(node))
    diagonal = torch.arange(rows).unsqueeze(1) + node.attr("k", 0) == torch.arange(columns)
    return diagonal.to(dtype)
