"""Complex numbers become pairs of real ones: a graph's nodes and features are real.

Rotary embeddings by complex products, Fourier transforms, complex filters: each operator on complex values
is written out in real operators on real and imaginary parts, so nothing after this pass knows of them.
What depends on neither input nor parameters is left alone; its parts are taken where they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.provenance.moves import IDENTITIES, MOVEMENTS
from wsgraph.rewrites.complex_parts import Emitter, Pair, Part, real_type
from wsgraph.rewrites.fourier import TRANSFORMS, transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_complex", "split_complex"]


def is_complex(op: Op) -> bool:
    """Whether an operator takes or gives complex numbers."""
    return any(v.dtype.is_complex for v in (*op.inputs(), *op.outputs))


def split_complex(graph: Graph) -> Graph:
    """Write complex arithmetic out in real operators.

    Raises:
        UnsupportedOperatorError: an operator on complex values that is not known here.
    """
    values = [*graph.inputs, *graph.tensors.values(), *(v for op in graph.ops for v in op.outputs)]
    return _Splitter(graph).run() if any(v.dtype.is_complex for v in values) else graph


class _Splitter:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.emit = Emitter(graph)
        self.pairs: dict[Value, Pair] = {}
        self.constants = {v for v in graph.tensors.values() if v.kind is not ValueKind.PARAMETER}

    def run(self) -> Graph:
        for op in self.graph.ops:
            self.emit.scope = op.scope
            if all(v in self.constants for v in op.inputs()):
                self.constants.update(op.outputs)
                self.emit.ops.append(op)
            elif is_complex(op):
                self.split(op)
            else:
                self.emit.ops.append(op)
        self.graph.outputs = [part for v in self.graph.outputs for part in self.parts_returned(v)]
        self.graph.ops = self.emit.ops
        return self.graph

    def split(self, op: Op) -> None:
        if op.key in _TO_REAL:
            self.emit.give(_TO_REAL[op.key](self, op), op.outputs[0])
            return
        if op.key in TRANSFORMS:
            results = [transform(self.emit, op, self.pair(op.inputs()[0]))]
        elif op.key in _RULES:
            results = [_RULES[op.key](self, op)]
        elif op.key in _PART_BY_PART or op.key in MOVEMENTS or op.key in IDENTITIES:
            results = self.part_by_part(op)
        else:
            raise _unknown(op)
        for value, result in zip(op.outputs, results, strict=True):
            if value.dtype.is_complex:
                self.pairs[value] = result
            else:
                self.emit.give(result[0], value)

    def parts_returned(self, value: Value) -> list[Value]:
        if not value.dtype.is_complex or value in self.constants:
            return [value]
        return [
            self.emit.tensor(part, value.shape, real_type(value.dtype))
            for part in self.pair(value)
            if part is not None
        ]

    def pair(self, operand: Any) -> Pair:
        """The parts of a value or a number; a value that has none yet is asked for them."""
        if not isinstance(operand, Value):
            number = complex(operand)
            return number.real, number.imag or None
        if not operand.dtype.is_complex:
            return operand, None
        if operand not in self.pairs:
            dtype = real_type(operand.dtype)
            real, imaginary = (
                self.emit.call(name, (operand,), operand.shape, dtype) for name in ("real", "imag")
            )
            self.pairs[operand] = real, imaginary
        return self.pairs[operand]

    def part_by_part(self, op: Op) -> list[Pair]:
        """A linear operator that acts on both parts alike; None where there is no imaginary part."""
        pairs = [self.pair(v) for v in op.inputs() if v.dtype.is_complex]
        real = self.emit.like(op, *self.arguments(op, 0))
        if all(imaginary is None for _, imaginary in pairs):
            return [(part, None) for part in real]
        return list(zip(real, self.emit.like(op, *self.arguments(op, 1)), strict=True))

    def arguments(self, op: Op, which: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def part(tree: Any) -> Any:
            if isinstance(tree, Value):
                if not (tree.dtype.is_complex or tree.dtype.is_floating_point):
                    return tree  # a mask, positions
                return self.emit.tensor(self.pair(tree)[which], tree.shape, real_type(tree.dtype))
            if isinstance(tree, list | tuple):
                return type(tree)(part(t) for t in tree)
            return real_type(tree) if isinstance(tree, torch.dtype) else tree

        return part(op.args), {name: part(value) for name, value in op.kwargs.items()}

    def real(self, op: Op) -> Part:
        return self.pair(op.args[0])[0]

    def imaginary(self, op: Op) -> Part:
        return self.pair(op.args[0])[1]

    def side_by_side(self, op: Op) -> Part:
        shape, dtype = op.outputs[0].shape, op.outputs[0].dtype
        parts = [self.emit.tensor(p, shape[:-1], dtype) for p in self.pair(op.args[0])]
        return self.emit.call("stack", (parts, -1), shape, dtype)

    def absolute(self, op: Op) -> Part:
        real, imaginary = self.tensors(op.args[0])
        return self.emit.binary("hypot", real, imaginary)

    def angle(self, op: Op) -> Part:
        real, imaginary = self.tensors(op.args[0])
        return self.emit.binary("atan2", imaginary, real)

    def tensors(self, value: Value) -> tuple[Value, Value]:
        real, imaginary = (self.emit.tensor(p, value.shape, real_type(value.dtype)) for p in self.pair(value))
        return real, imaginary

    def taken(self, op: Op) -> Pair:
        x, shape = op.args[0], op.outputs[0].shape
        real, imaginary = (self.emit.call("select", (x, -1, k), shape, x.dtype, "int") for k in (0, 1))
        return real, imaginary

    def joined(self, op: Op) -> Pair:
        return op.args[0], op.args[1]

    def polar(self, op: Op) -> Pair:
        return self._from_polar(*op.args)

    def conjugate(self, op: Op) -> Pair:
        real, imaginary = self.pair(op.args[0])
        return real, self.emit.negate(imaginary)

    def added(self, op: Op) -> Pair:
        given = op.arguments
        names = ("other", "self") if op.key == "aten.rsub" else ("self", "other")
        (a, b), other = (self.pair(given[name]) for name in names)
        c, d = (self.emit.multiply(p, given["alpha"]) if given.get("alpha", 1) != 1 else p for p in other)
        combine = self.emit.add if op.key == "aten.add" else self.emit.subtract
        shape, dtype = op.outputs[0].shape, real_type(op.outputs[0].dtype)
        # Where only one operand has an imaginary part, the result's is broadcast to the other's shape.
        real, imaginary = combine(a, c), combine(b, d)
        return real, None if imaginary is None else self.emit.tensor(imaginary, shape, dtype)

    def multiplied(self, op: Op) -> Pair:
        shape, dtype = op.outputs[0].shape, real_type(op.outputs[0].dtype)
        product = self._product(self.pair(op.args[0]), self.pair(op.args[1]), self.emit.multiply)
        real, imaginary = (None if p is None else self.emit.tensor(p, shape, dtype) for p in product)
        return real, imaginary

    def contracted(self, op: Op) -> Pair:
        """Bilinear operators: the parts' products, as of numbers."""

        def times(a: Part, b: Part) -> Part:
            if not isinstance(a, Value) or not isinstance(b, Value):
                return None
            operands = ([a, b],) if isinstance(op.args[1], list | tuple) else (a, b)
            equation = op.args[:1] if isinstance(op.args[1], list | tuple) else ()
            return self.emit.like(op, (*equation, *operands), op.kwargs)[0]

        left, right = op.inputs()
        return self._product(self.pair(left), self.pair(right), times)

    def _product(self, left: Pair, right: Pair, times: Callable[[Part, Part], Part]) -> Pair:
        (a, b), (c, d) = left, right
        return self.emit.subtract(times(a, c), times(b, d)), self.emit.add(times(a, d), times(b, c))

    def divided(self, op: Op) -> Pair:
        return self._quotient(self.pair(op.args[0]), self.pair(op.args[1]))

    def reciprocal(self, op: Op) -> Pair:
        return self._quotient((1.0, None), self.pair(op.args[0]))

    def _quotient(self, left: Pair, right: Pair) -> Pair:
        over, d = right
        if d is not None:
            left = self._product(left, (over, self.emit.negate(d)), self.emit.multiply)
            over = self.emit.add(self.emit.multiply(over, over), self.emit.multiply(d, d))
        return self.emit.divide(left[0], over), self.emit.divide(left[1], over)

    def squared(self, op: Op) -> Pair:
        pair = self.pair(op.args[0])
        return self._product(pair, pair, self.emit.multiply)

    def exponential(self, op: Op) -> Pair:
        real, imaginary = self.tensors(op.args[0])
        return self._from_polar(self.emit.unary("exp", real), imaginary)

    def logarithm(self, op: Op) -> Pair:
        return self.emit.unary("log", self.absolute(op)), self.angle(op)

    def root(self, op: Op) -> Pair:
        return self._power(op, 0.5)

    def power(self, op: Op) -> Pair:
        """Raised to a real power.

        Raises:
            UnsupportedOperatorError: the power is complex, or the base is real.
        """
        base, exponent = op.args
        if not isinstance(base, Value) or (isinstance(exponent, Value) and exponent.dtype.is_complex):
            raise _unknown(op)
        return self._power(op, exponent)

    def _power(self, op: Op, exponent: Part) -> Pair:
        overload = "Tensor_Tensor" if isinstance(exponent, Value) else "Tensor_Scalar"
        size, turns = self.absolute(op), self.angle(op)
        shape = op.outputs[0].shape
        assert isinstance(size, Value)
        grown = self.emit.call("pow", (size, exponent), shape, size.dtype, overload)
        return self._from_polar(grown, self.emit.multiply(turns, exponent))

    def _from_polar(self, size: Part, angle: Part) -> Pair:
        wave = [self.emit.unary(name, angle) for name in ("cos", "sin")]
        return self.emit.multiply(size, wave[0]), self.emit.multiply(size, wave[1])

    def copied(self, op: Op) -> Pair:
        """``x.copy_(y)``: the result is y, broadcast to x's shape."""
        shape, dtype = op.outputs[0].shape, real_type(op.outputs[0].dtype)
        real, imaginary = (
            None if p is None else self.emit.tensor(p, shape, dtype) for p in self.pair(op.args[1])
        )
        return real, imaginary


def _unknown(op: Op) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"{op!r} computes with complex numbers, and it is not known what it does to their parts",
        remedy="write it with real numbers, as torch.view_as_real gives them",
    )


_TO_REAL: dict[str, Callable[[_Splitter, Op], Part]] = {
    "aten.real": _Splitter.real,
    "aten.imag": _Splitter.imaginary,
    "aten.view_as_real": _Splitter.side_by_side,
    "aten.abs": _Splitter.absolute,
    "aten.angle": _Splitter.angle,
}
_RULES: dict[str, Callable[[_Splitter, Op], Pair]] = {
    "aten.view_as_complex": _Splitter.taken,
    "aten.complex": _Splitter.joined,
    "aten.polar": _Splitter.polar,
    "aten.conj": _Splitter.conjugate,
    "aten._conj": _Splitter.conjugate,
    "aten.conj_physical": _Splitter.conjugate,
    "aten.add": _Splitter.added,
    "aten.sub": _Splitter.added,
    "aten.rsub": _Splitter.added,
    "aten.mul": _Splitter.multiplied,
    "aten.div": _Splitter.divided,
    "aten.reciprocal": _Splitter.reciprocal,
    "aten.square": _Splitter.squared,
    "aten.exp": _Splitter.exponential,
    "aten.log": _Splitter.logarithm,
    "aten.sqrt": _Splitter.root,
    "aten.pow": _Splitter.power,
    "aten.copy": _Splitter.copied,
    **dict.fromkeys(
        (f"aten.{name}" for name in ("matmul", "mm", "bmm", "mv", "einsum")), _Splitter.contracted
    ),
}
_PART_BY_PART = frozenset(
    f"aten.{name}"
    for name in (
        "neg", "sum", "mean", "cat", "concat", "stack", "slice_scatter", "select_scatter", "where",
        "masked_fill", "resolve_conj", "resolve_neg", "cumsum",
    )
)  # fmt: skip
"""Linear operators that do the same to both parts; movements do so too."""
