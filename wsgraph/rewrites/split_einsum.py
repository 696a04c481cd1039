"""Einstein sums become sums of two operands that share what is summed.

Letters that repeat become diagonals; letters of one operand alone are summed first.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Op, Value
from wsgraph.lowering.letters import parse_equation

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph

__all__ = ["split_einsum"]

_KEY = "aten.einsum"


def split_einsum(graph: Graph) -> Graph:
    """``einsum("bi,ij,bj->b", x, w, y)`` to ``w`` with ``y``, then with ``x``: the smallest result first."""
    if any(op.key == _KEY for op in graph.ops):
        graph.ops = [part for op in graph.ops for part in _split(op)]
    return graph


def _split(op: Op) -> list[Op]:
    if op.key != _KEY:
        return [op]
    arguments = op.arguments
    values = arguments["tensors"]
    names, out = parse_equation(arguments["equation"], [len(v.shape) for v in values])
    operands = [_Operand(v, n) for v, n in zip(values, names, strict=True)]
    if len(values) <= 2 and not any(_repeats(o) or _lonely(o, operands, out) for o in operands):
        return [op]
    return _Splitter(op, out).run(operands)


@dataclass(frozen=True, slots=True)
class _Operand:
    value: Value
    names: str


def _repeats(operand: _Operand) -> bool:
    return len(set(operand.names)) < len(operand.names)


def _lonely(operand: _Operand, operands: list[_Operand], out: str) -> set[str]:
    """Letters over which one of several operands is summed by itself."""
    others = [o.names for o in operands if o is not operand]
    return set(operand.names) - set(out).union(*others) if others else set()


class _Splitter:
    def __init__(self, op: Op, out: str) -> None:
        self.op = op
        self.out = out
        self.ops: list[Op] = []

    def run(self, operands: list[_Operand]) -> list[Op]:
        """The parts; the last one gives the operator's own result."""
        operands = [self.without_repeats(o) for o in operands]
        operands = [self.without_letters(o, _lonely(o, operands, self.out)) for o in operands]
        while len(operands) > 2:
            pair = min(itertools.combinations(operands, 2), key=lambda two: self.size(two, operands))
            kept = self.kept(pair, operands)
            operands = [*(o for o in operands if o not in pair), self.contract(pair, kept)]
        self.contract(operands, self.out)
        self.ops[-1].outputs = self.op.outputs
        return self.ops

    def without_repeats(self, operand: _Operand) -> _Operand:
        value, names = operand.value, operand.names
        while len(set(names)) < len(names):
            letter = next(c for c in names if names.count(c) > 1)
            first, second = [d for d, c in enumerate(names) if c == letter][:2]
            rest = [d for d in range(len(names)) if d not in (first, second)]
            shape = (*(value.shape[d] for d in rest), value.shape[first])
            diagonal = torch.ops.aten.diagonal.default
            value = self.call("aten.diagonal", diagonal, (value, 0, first, second), shape, aliases=True)
            names = "".join(names[d] for d in rest) + letter
        return _Operand(value, names)

    def without_letters(self, operand: _Operand, letters: set[str]) -> _Operand:
        kept = "".join(c for c in operand.names if c not in letters)
        return self.contract([operand], kept) if letters else operand

    def kept(self, pair: tuple[_Operand, ...], operands: list[_Operand]) -> str:
        """Letters of a pair that the result or another operand has too."""
        others = self.out + "".join(o.names for o in operands if o not in pair)
        return "".join(dict.fromkeys(c for o in pair for c in o.names if c in others))

    def size(self, pair: tuple[_Operand, ...], operands: list[_Operand]) -> int:
        return math.prod(_sizes(pair)[c] for c in self.kept(pair, operands))

    def contract(self, operands: list[_Operand] | tuple[_Operand, ...], kept: str) -> _Operand:
        equation = ",".join(o.names for o in operands) + "->" + kept
        sizes = _sizes(operands)
        values = [o.value for o in operands]
        shape = tuple(sizes[c] for c in kept)
        return _Operand(self.call(_KEY, torch.ops.aten.einsum.default, (equation, values), shape), kept)

    def call(
        self, key: str, target: Any, args: tuple[Any, ...], shape: tuple[int, ...], *, aliases: bool = False
    ) -> Value:
        own = self.op.outputs[0]
        result = Value(f"{own.name}.{len(self.ops)}", shape, own.dtype)
        self.ops.append(Op(key, target, args, {}, [result], self.op.scope, aliases=aliases))
        return result


def _sizes(operands: list[_Operand] | tuple[_Operand, ...]) -> dict[str, int]:
    """The size of each letter; an operand may have 1 where another has more."""
    sizes: dict[str, int] = {}
    for operand in operands:
        for letter, size in zip(operand.names, operand.value.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return sizes
