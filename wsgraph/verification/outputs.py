"""The model's outputs in float64, as a function of its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.ir.execute import execute
from wsgraph.ir.graph import ValueKind
from wsgraph.precision import widened
from wsgraph.testing.double import in_double

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsgraph.ir.graph import Graph, Value

__all__ = ["DoubleModel", "difference", "generic"]

_SPREAD = 0.1
"""Noise added to weights, as a part of their spread: equal or zero weights would hide what is wrong."""
_SMALLEST = 0.02


class DoubleModel:
    """The traced model, every operator run in float64, casts to narrower types included.

    A model that casts to float32 inside (normalisations of transformers do) rounds by 1e-7, and could not
    be compared to 1e-9 otherwise.

    Args:
        graph: the traced model.
        examples: example inputs; floating-point ones are drawn anew.
        generator: source of randomness.
    """

    def __init__(self, graph: Graph, examples: Sequence[Tensor], generator: torch.Generator) -> None:
        self._graph = replace(graph, ops=[in_double(op) for op in graph.ops])
        self._inputs = [self._input(v, k, examples, generator) for k, v in enumerate(graph.inputs)]
        self._constants = {
            name: widened(value.data)
            for name, value in graph.tensors.items()
            if value.kind is not ValueKind.PARAMETER and value.data is not None
        }

    def __call__(self, state: Mapping[str, Tensor]) -> list[Tensor]:
        """The floating-point outputs under some weights, by the state dict's names."""
        given = {name: state[name] for name in self._graph.tensors if name in state}
        tensors = {**self._constants, **given}
        fresh = {name: widened(tensor).clone() for name, tensor in tensors.items()}
        outputs, _ = execute(self._graph, [t.clone() for t in self._inputs], fresh)
        return [t for t in outputs if t.is_floating_point()]

    def _input(
        self, value: Value, position: int, examples: Sequence[Tensor], generator: torch.Generator
    ) -> Tensor:
        if value.dtype.is_floating_point:
            return torch.randn(value.shape, generator=generator, dtype=torch.float64)
        rows = _looked_up(self._graph, value)
        if rows:
            # Tokens that are all alike hide what attention does.
            return torch.randint(0, rows, value.shape, generator=generator).to(value.dtype)
        if position < len(examples) and not examples[position].is_meta:
            return examples[position].clone()
        return torch.zeros(value.shape, dtype=value.dtype)


def _looked_up(graph: Graph, value: Value) -> int:
    """Rows of the smallest table that an input is looked up in; 0 for none."""
    lookups = [op for op in graph.ops if op.key == "aten.embedding" and value in op.inputs()]
    return min((op.arguments["weight"].shape[0] for op in lookups), default=0)


def generic(state: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The weights in float64 with a little noise; what is nowhere negative stays so."""
    out = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            out[name] = tensor
            continue
        wide = tensor.double()
        spread = float(wide.std(correction=0)) or _SMALLEST
        noise = torch.randn(wide.shape, generator=generator, dtype=torch.float64) * spread * _SPREAD
        out[name] = wide + (noise if bool((wide < 0).any()) else noise.abs())
    return out


def difference(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    """Largest difference of two results, relative to the larger's magnitude; infinite for NaN."""
    worst = 0.0
    for a, b in zip(left, right, strict=True):
        if a.numel():
            scale = max(float(a.abs().max()), float(b.abs().max()), 1e-300)
            gap = float((a - b).abs().max()) / scale
            worst = max(worst, gap if gap == gap else float("inf"))  # noqa: PLR0124  NaN is not itself
    return worst
