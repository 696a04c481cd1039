"""A lowered graph run once in float64, and its operators run again with some values replaced."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.ir.execute import call, execute
from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.precision import WIDE, widened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["DoubleRun", "in_double"]


class DoubleRun:
    """One run of a graph on random inputs and random weights, every value kept.

    Weights are random rather than the model's own: a zero-initialised scale would hide its neurons.

    Args:
        graph: the traced model.
        examples: example inputs, of which token numbers are kept and floating-point ones are redrawn.
        generator: source of randomness.
    """

    def __init__(self, graph: Graph, examples: Sequence[Tensor], generator: torch.Generator) -> None:
        self._generator = generator
        self._ops = {op: in_double(op) for op in graph.ops}
        wide = replace(graph, ops=list(self._ops.values()))
        tensors = {name: self._weight(value) for name, value in graph.tensors.items()}
        for name, canonical in graph.ties.items():
            tensors[name] = tensors[canonical]
        inputs = [self._input(v, k, examples) for k, v in enumerate(graph.inputs)]
        _, values = execute(wide, inputs, tensors, keep=True)
        values.update((value, tensors[name]) for name, value in graph.tensors.items())
        values.update(zip(graph.inputs, inputs, strict=True))
        self.values: Mapping[Value, Any] = values
        self._upstream = _parameter_ancestors(graph)
        self._producers = {v: op for op in graph.ops for v in op.outputs}

    def noise(self, like: Tensor) -> Tensor:
        """Fresh random numbers of a tensor's shape; positive where the tensor is nowhere negative.

        Truth values are turned round.
        """
        if like.dtype is torch.bool:
            return ~like
        if like.numel() and bool((like < 0).any()):
            return torch.randn(like.shape, generator=self._generator, dtype=torch.float64)
        return self._uniform(like.shape)

    def upstream(self, value: Value) -> frozenset[Value]:
        """What a weight is computed from, itself included; empty for an activation."""
        return self._upstream.get(value, frozenset())

    def call(self, op: Op, replaced: Mapping[Value, Tensor]) -> list[Any]:
        """The results of one operator with some values replaced.

        Weights that the model computes are computed anew where they depend on a replaced tensor.
        """
        lookup = {v: self._value(v, replaced) for v in op.inputs()}
        return call(self._ops[op], lookup)

    def between(self, first: Value, replacement: Tensor, last: Op) -> list[Any]:
        """The results of ``last`` after ``first`` was replaced, everything in between run again."""
        live: dict[Value, Any] = {first: replacement}
        for op in self._ops:
            if any(v in live for v in op.inputs()) and first not in op.outputs:
                live.update(zip(op.outputs, self.call(op, live), strict=True))
            if op is last:
                break
        return [live.get(v, self.values[v]) for v in last.outputs]

    def _value(self, value: Value, replaced: Mapping[Value, Tensor]) -> Any:
        if value in replaced:
            return replaced[value].clone()
        # In-place operators write to what they are given, so they are given copies.
        if not self.upstream(value) & replaced.keys():
            kept = self.values[value]
            return kept.clone() if isinstance(kept, Tensor) else kept
        op = self._producers[value]
        results: list[Any] = self.call(op, replaced)
        return results[op.outputs.index(value)]

    def _input(self, value: Value, position: int, examples: Sequence[Tensor]) -> Tensor:
        if value.dtype.is_floating_point:
            return torch.randn(value.shape, generator=self._generator, dtype=torch.float64)
        if position < len(examples) and not examples[position].is_meta:
            return examples[position].clone()
        return torch.zeros(value.shape, dtype=value.dtype)

    def _weight(self, value: Value) -> Tensor:
        if value.kind is not ValueKind.PARAMETER and value.data is not None:
            own: Tensor = widened(value.data.cpu())
            return own.clone()
        if value.dtype.is_complex:
            return torch.randn(value.shape, generator=self._generator, dtype=torch.complex128)
        if not value.dtype.is_floating_point:
            return torch.zeros(value.shape, dtype=value.dtype)
        if len(value.shape) < 2:
            return self._uniform(value.shape)
        fan_in = max(1, math.prod(value.shape[1:]))
        return torch.randn(value.shape, generator=self._generator, dtype=torch.float64) / math.sqrt(fan_in)

    def _uniform(self, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=self._generator, dtype=torch.float64) + 0.5


def in_double(op: Op) -> Op:
    """The same call with every narrow floating-point type it asks for made float64."""
    kwargs = _widen(op.kwargs)
    if _makes_floats(op):
        kwargs["dtype"] = WIDE[op.outputs[0].dtype]
    return replace(op, args=_widen(op.args), kwargs=kwargs)


def _makes_floats(op: Op) -> bool:
    """Whether it makes a tensor from nothing, of the type that torch takes where none is asked for."""
    asked = op.arguments.get("dtype", torch.bool)
    return not op.inputs() and asked is None and bool(op.outputs) and op.outputs[0].dtype in WIDE


def _widen(tree: Any) -> Any:
    if isinstance(tree, tuple | list):
        return type(tree)(_widen(t) for t in tree)
    if isinstance(tree, dict):
        return {k: _widen(v) for k, v in tree.items()}
    return torch.device("cpu") if isinstance(tree, torch.device) else widened(tree)


def _parameter_ancestors(graph: Graph) -> dict[Value, frozenset[Value]]:
    """For each value computed from the model's tensors alone: all it is computed from, itself included."""
    known = {v: frozenset((v,)) for v in graph.tensors.values()}
    known.update(_computed(graph.ops, known))
    return known


def _computed(
    ops: Sequence[Op], known: Mapping[Value, frozenset[Value]]
) -> Iterator[tuple[Value, frozenset[Value]]]:
    found = dict(known)
    for op in ops:
        inputs = op.inputs()
        if all(v in found for v in inputs):
            ancestors: frozenset[Value] = frozenset().union(*(found[v] for v in inputs))
            for value in op.outputs:
                found[value] = ancestors | {value}
                yield value, found[value]
