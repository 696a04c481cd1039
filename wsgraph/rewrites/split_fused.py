"""Operators that multiply and add at once become what they are short for, a part at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Op, Value
from wsgraph.provenance.axes import broadcast_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsgraph.ir.graph import Graph

__all__ = ["is_fused", "split_fused"]


def split_fused(graph: Graph) -> Graph:
    """``addcmul``, ``addcdiv`` and ``lerp`` to products, quotients and sums; in place they end in a copy."""
    if any(is_fused(op) for op in graph.ops):
        graph.ops = [part for op in graph.ops for part in _split(op)]
    return graph


def is_fused(op: Op) -> bool:
    """Whether an operator is one of these."""
    return op.key in _PARTS


def _split(op: Op) -> list[Op]:
    return _Splitter(op).run() if is_fused(op) else [op]


class _Splitter:
    def __init__(self, op: Op) -> None:
        self.op = op
        self.ops: list[Op] = []

    def run(self) -> list[Op]:
        """The parts; the last one gives the operator's own result."""
        arguments = self.op.arguments
        result = _PARTS[self.op.key](self, arguments)
        if not self.op.mutates:
            self.ops[-1].outputs = self.op.outputs
            return self.ops
        target = torch.ops.aten.copy_.default
        args = (arguments["self"], result)
        copy = Op("aten.copy", target, args, {}, self.op.outputs, self.op.scope, mutates=True)
        return [*self.ops, copy]

    def addcmul(self, arguments: dict[str, Any]) -> Value:
        product = self.part("mul", arguments["tensor1"], arguments["tensor2"])
        return self.part("add", arguments["self"], self.scaled(product, arguments["value"]))

    def addcdiv(self, arguments: dict[str, Any]) -> Value:
        quotient = self.part("div", arguments["tensor1"], arguments["tensor2"])
        return self.part("add", arguments["self"], self.scaled(quotient, arguments["value"]))

    def lerp(self, arguments: dict[str, Any]) -> Value:
        way = self.part("sub", arguments["end"], arguments["self"])
        return self.part("add", arguments["self"], self.scaled(way, arguments["weight"]))

    def scaled(self, x: Value, factor: Any) -> Value:
        return x if factor == 1 else self.part("mul", x, factor)

    def part(self, name: str, left: Value, right: Any) -> Value:
        """One element-wise operator; ``right`` is a value or a number."""
        overload = "Tensor" if isinstance(right, Value) else "Scalar"
        shapes = [v.shape for v in (left, right) if isinstance(v, Value)]
        own = self.op.outputs[0]
        result = Value(f"{own.name}.{len(self.ops)}", broadcast_shape(*shapes), own.dtype)
        target = getattr(getattr(torch.ops.aten, name), overload)
        self.ops.append(Op(f"aten.{name}", target, (left, right), {}, [result], self.op.scope))
        return result


_PARTS: dict[str, Callable[[_Splitter, dict[str, Any]], Value]] = {
    "aten.addcmul": _Splitter.addcmul,
    "aten.addcdiv": _Splitter.addcdiv,
    "aten.lerp": _Splitter.lerp,
}
