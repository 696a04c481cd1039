"""Writes at known places (``x[:, [0, 2]] = y``): what stands there afterwards is picked from old and new."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.constants import ConstantPool
from wsgraph.ir.graph import Op, Value, ValueKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsgraph.ir.graph import Graph

__all__ = ["split_writes"]


def split_writes(graph: Graph) -> Graph:
    """``index_put`` whose indices are constants, along neighbouring dimensions, to a ``cat`` and a pick.

    Of a graph that is traced as if every selection by value took everything, an index of everything stays:
    what it stands for is decided by the input.
    """
    if any(op.key == "aten.index_put" for op in graph.ops):
        constants = ConstantPool(graph)
        graph.ops = [part for op in graph.ops for part in _split(op, constants, graph)]
    return graph


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where an operator writes.

    Attributes:
        dims: the neighbouring dimensions that are written along, the first and the one after the last.
        flat: positions along them, taken as one dimension, in the shape that the indices have together.
    """

    dims: tuple[int, int]
    flat: Tensor


def _split(op: Op, constants: ConstantPool, graph: Graph) -> list[Op]:
    places = _places(op, constants) if op.key == "aten.index_put" else None
    if places is None or constants.get(op.outputs[0]) is not None:
        return [op]
    start, stop = places.dims
    size = math.prod(op.outputs[0].shape[start:stop])
    if graph.keeps_everything and len(torch.unique(places.flat)) == size:
        return [op]
    return _Writer(op, graph).run(places, size)


def _places(op: Op, constants: ConstantPool) -> _Places | None:
    """None where the write is none at known places."""
    given: dict[str, Any] = op.arguments
    x, values, indices = given["self"], given["values"], given["indices"]
    dims = [d for d, index in enumerate(indices) if index is not None]
    start, stop = dims[0], dims[-1] + 1
    known = [constants.get(indices[d]) for d in dims]
    if given["accumulate"] or len(dims) != stop - start or values.dtype != x.dtype:
        return None
    flat = torch.zeros((), dtype=torch.int64)
    for d, index in zip(dims, known, strict=True):
        if index is None or index.dtype is torch.bool:
            return None
        flat = flat * x.shape[d] + index.cpu().long() % x.shape[d]
    return _Places((start, stop), flat)


class _Writer:
    def __init__(self, op: Op, graph: Graph) -> None:
        self.op = op
        self.graph = graph
        self.ops: list[Op] = []

    def run(self, places: _Places, size: int) -> list[Op]:
        """The parts; the last one gives the operator's own result."""
        given, (result,) = self.op.arguments, self.op.outputs
        (start, stop), index = places.dims, places.flat
        before, after = result.shape[:start], result.shape[stop:]
        old = self.view("reshape", given["self"], [*before, size, *after])
        new = self.view("expand", given["values"], [*before, *index.shape, *after])
        new = self.view("reshape", new, [*before, index.numel(), *after])
        both = self.part("cat", ([old, new], start), [*before, size + index.numel(), *after])
        at = torch.arange(size).index_copy(0, index.reshape(-1), size + torch.arange(index.numel()))
        picked = self.part("index_select", (both, start, self.constant(at)), old.shape)
        whole = self.view("reshape", picked, list(result.shape))
        if self.op.mutates:
            target, args = torch.ops.aten.copy_.default, (given["self"], whole)
            self.ops.append(Op("aten.copy", target, args, {}, [result], self.op.scope, mutates=True))
        else:
            self.ops[-1].outputs = [result]
        return self.ops

    def view(self, name: str, x: Value, shape: list[int]) -> Value:
        """A view of a shape."""
        return self.part(name, (x, shape), shape, aliases=True)

    def part(self, name: str, args: tuple[Any, ...], shape: Sequence[int], *, aliases: bool = False) -> Value:
        """One operator."""
        own = self.op.outputs[0]
        made = Value(f"{own.name}.{len(self.ops)}", tuple(shape), own.dtype)
        target = getattr(torch.ops.aten, name).default
        self.ops.append(Op(f"aten.{name}", target, args, {}, [made], self.op.scope, aliases=aliases))
        return made

    def constant(self, data: Tensor) -> Value:
        """A tensor of the graph's own."""
        value = Value(
            f"{self.op.outputs[0].name}.at", tuple(data.shape), data.dtype, ValueKind.CONSTANT, data
        )
        self.graph.tensors[value.name] = value
        return value
