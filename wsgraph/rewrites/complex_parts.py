"""Complex arithmetic in real operators: what a complex value's two parts are, and how parts are combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.provenance.axes import broadcast_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Emitter", "Pair", "Part", "real_type"]

Part: TypeAlias = Value | float | None
"""A tensor, a number, or None for nothing at all: the imaginary part of what is real."""

Pair: TypeAlias = tuple[Part, Part]
"""Real and imaginary part."""

_REAL = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}


def real_type(dtype: torch.dtype) -> torch.dtype:
    """The type of a complex number's parts; of a real one itself."""
    return _REAL.get(dtype, dtype)


class Emitter:
    """Appends real operators.

    Args:
        graph: the graph whose constants and names are added to.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ops: list[Op] = []
        self.scope = ""
        self._made = 0
        self._constants: dict[object, Value] = {}

    def call(
        self, name: str, args: tuple[Any, ...], shape: Sequence[int], dtype: torch.dtype, overload: str = ""
    ) -> Value:
        """One operator with one result."""
        result = Value(self._name(), tuple(shape), dtype)
        target = getattr(getattr(torch.ops.aten, name), overload or "default")
        self.ops.append(Op(f"aten.{name}", target, args, {}, [result], self.scope))
        return result

    def like(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Value]:
        """An operator once more, on parts of what it was given."""
        results = [Value(self._name(), v.shape, real_type(v.dtype)) for v in op.outputs]
        self.ops.append(Op(op.key, op.target, args, kwargs, results, op.scope))
        return results

    def give(self, part: Part, result: Value) -> None:
        """Let a part be the result of the operator that is replaced."""
        part = self.tensor(part, result.shape, result.dtype)
        target = torch.ops.aten.alias.default
        self.ops.append(Op("aten.alias", target, (part,), {}, [result], self.scope))

    def tensor(self, part: Part, shape: Sequence[int], dtype: torch.dtype) -> Value:
        """A part as a tensor of a shape: numbers are filled in, others broadcast."""
        if not isinstance(part, Value):
            return self.call("full", (list(shape), part or 0.0), shape, dtype)
        return part if part.shape == tuple(shape) else self.call("expand", (part, list(shape)), shape, dtype)

    def constant(self, key: object, data: Tensor) -> Value:
        """A tensor of the graph's own, once for equal keys."""
        if key not in self._constants:
            value = Value(self._name(), tuple(data.shape), data.dtype, ValueKind.CONSTANT, data)
            self._constants[key] = self.graph.tensors[value.name] = value
        return self._constants[key]

    def add(self, a: Part, b: Part) -> Part:
        """Sum."""
        if a is None or b is None:
            return b if a is None else a
        return self._pointwise("add", a, b)

    def subtract(self, a: Part, b: Part) -> Part:
        """Difference."""
        if b is None or a is None:
            return a if b is None else self.negate(b)
        return self._pointwise("sub", a, b)

    def multiply(self, a: Part, b: Part) -> Part:
        """Product; nothing times anything is nothing."""
        return None if a is None or b is None else self._pointwise("mul", a, b)

    def divide(self, a: Part, b: Part) -> Part:
        """Quotient."""
        return None if a is None else self._pointwise("div", a, b)

    def negate(self, a: Part) -> Part:
        """The negative."""
        return self.unary("neg", a) if isinstance(a, Value) else (None if a is None else -a)

    def unary(self, name: str, a: Part) -> Value:
        """An element-wise function of a tensor."""
        assert isinstance(a, Value)
        return self.call(name, (a,), a.shape, a.dtype)

    def binary(self, name: str, a: Value, b: Value) -> Value:
        """An element-wise function of two tensors."""
        return self.call(name, (a, b), broadcast_shape(a.shape, b.shape), a.dtype)

    def _pointwise(self, name: str, a: Part, b: Part) -> Part:
        if isinstance(a, Value) and isinstance(b, Value):
            dtype = torch.promote_types(a.dtype, b.dtype)
            return self.call(name, (a, b), broadcast_shape(a.shape, b.shape), dtype, "Tensor")
        if isinstance(a, Value):
            return self.call(name, (a, b), a.shape, a.dtype, "Scalar")
        if isinstance(b, Value):
            whole = self.tensor(a, b.shape, b.dtype)
            return self.call(name, (whole, b), b.shape, b.dtype, "Tensor")
        assert a is not None
        assert b is not None
        return {"add": a + b, "sub": a - b, "mul": a * b, "div": a / b if b else 0.0}[name]

    def _name(self) -> str:
        self._made += 1
        return f"part.{self._made}"
