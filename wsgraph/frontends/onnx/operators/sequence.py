"""Sequences of tensors, which exist only while the graph is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten


def _sequence(node: Node) -> list[Any]:
    operand = node.opt(0)
    if not isinstance(operand, list):
        raise node.refuse("a tensor in place of a sequence")
    return operand


def _position(node: Node, at: int, default: int) -> int:
    return int(node.numbers(at)) if node.has(at) else default


@operator("SequenceEmpty")
def _empty(node: Node) -> Any:
    del node
    return ([],)


@operator("SequenceConstruct")
def _construct(node: Node) -> Any:
    return ([node.x(k) for k in range(len(node.inputs))],)


@operator("SequenceAt")
def _at(node: Node) -> Any:
    return _sequence(node)[_position(node, 1, 0)]


@operator("SequenceLength")
def _length(node: Node) -> Any:
    return torch.tensor(len(_sequence(node)))


@operator("SequenceInsert")
def _insert(node: Node) -> Any:
    items = list(_sequence(node))
    place = _position(node, 2, len(items))
    items.insert(place, node.x(1))
    return (items,)


@operator("SequenceErase")
def _erase(node: Node) -> Any:
    items = list(_sequence(node))
    del items[_position(node, 1, -1)]
    return (items,)


@operator("ConcatFromSequence")
def _concat(node: Node) -> Any:
    target = aten.stack.default if node.attr("new_axis", 0) else aten.cat.default
    return node.call(target, _sequence(node), node.attr("axis"))


@operator("SplitToSequence")
def _split(node: Node) -> Any:
    x, axis = node.x(), node.attr("axis", 0)
    size = x.shape[axis]
    if not node.has(1):
        parts = node.call(aten.split_with_sizes.default, x, [1] * size, axis)
        if not node.attr("keepdims", 1):
            parts = [node.call(aten.squeeze.dims, p, [axis]) for p in parts]
        return (parts,)
    given = node.numbers(1)
    if given.dim():
        sizes = [int(n) for n in given.tolist()]
    else:
        step = int(given)
        sizes = [min(step, size - k) for k in range(0, size, step)]
    return (node.call(aten.split_with_sizes.default, x, sizes, axis),)
