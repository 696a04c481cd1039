"""Identities and changes of type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.private_aten import CAST
from wsgraph.frontends.onnx.registry import operator
from wsgraph.frontends.onnx.tensors import dtype_of

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.frontends.onnx.node import Node
    from wsgraph.ir.graph import Value

__all__: list[str] = []

aten = torch.ops.aten

_LARGEST = {
    torch.float8_e4m3fn: 448.0,
    torch.float8_e4m3fnuz: 240.0,
    torch.float8_e5m2: 57344.0,
    torch.float8_e5m2fnuz: 57344.0,
}


@operator("Identity")
def _identity(node: Node) -> Any:
    return node.opt(0)


@operator("Cast")
def _cast(node: Node) -> Any:
    return _converted(node, node.x(), dtype_of(node.attr("to"), str(node)))


@operator("CastLike")
def _cast_like(node: Node) -> Any:
    return _converted(node, node.x(), node.x(1).dtype)


def _converted(node: Node, x: Value | Tensor, dtype: torch.dtype) -> Any:
    """The same numbers in another type; eight-bit floats saturate."""
    if x.dtype == dtype:
        return x
    bound = _LARGEST.get(dtype)
    if bound is not None:
        if not node.attr("saturate", 1):
            raise node.refuse("a cast that does not saturate")
        single = node.call(CAST, x, dtype=torch.float32)
        x = node.call(aten.clamp.default, single, -bound, bound)
    return node.call(CAST, x, dtype=dtype)


@operator("BitCast")
def _bit_cast(node: Node) -> Any:
    return node.call(aten.view.dtype, node.x(), dtype_of(node.attr("to"), str(node)))


@operator("Dropout")
def _dropout(node: Node) -> Any:
    """Inference: nothing is dropped, and the mask keeps everything."""
    training = node.has(2) and bool(node.numbers(2))
    if training and node.has(1) and float(node.numbers(1)) == 0.0:
        training = False
    if training:
        raise node.refuse("dropout in training mode")
    mask = torch.ones((), dtype=torch.bool).expand(tuple(node.x().shape))
    return node.x(), mask
