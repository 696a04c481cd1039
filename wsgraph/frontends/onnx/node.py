"""One ONNX node as its translator sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from wsgraph.errors import FrontendError
from wsgraph.frontends.onnx.errors import UnknownOperatorError
from wsgraph.ir.graph import Value

if TYPE_CHECKING:
    import torch

    from wsgraph.frontends.onnx.emitter import Emitter, Operand
    from wsgraph.frontends.onnx.scope import Scope

__all__ = ["Node"]


@dataclass(eq=False, slots=True)
class Node:
    """A node with its inputs resolved.

    Attributes:
        op_type: the operator.
        name: the node's name, for messages.
        opset: the opset of the operator's domain in this model.
        inputs: what its inputs stand for; None for one that is left out.
        outputs: names of its outputs, empty for one that nobody wants.
        attributes: its attributes as Python data (subgraphs as GraphProto).
        emitter: appends operators.
        scope: the names that subgraphs see.
    """

    op_type: str
    name: str
    opset: int
    inputs: list[Operand]
    outputs: list[str]
    attributes: dict[str, Any]
    emitter: Emitter
    scope: Scope = field(repr=False)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        return self.attributes.get(name, default)

    def has(self, position: int) -> bool:
        """Whether an optional input is given."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def opt(self, position: int) -> Any:
        """An optional input, or None."""
        return self.inputs[position] if position < len(self.inputs) else None

    def x(self, position: int = 0) -> Value | Tensor:
        """A tensor that the operator needs.

        Raises:
            FrontendError: it is not given, or a sequence.
        """
        operand = self.opt(position)
        if not isinstance(operand, Value | Tensor):
            got = "missing" if operand is None else "a sequence"
            raise FrontendError(f"input {position} of {self} is {got}, expected a tensor")
        return operand

    def bias(self, position: int = 2) -> Any:
        """An optional bias; None for a constant of zeros, which some exporters put in its place."""
        bias = self.opt(position)
        return None if isinstance(bias, Tensor) and not bool(bias.any()) else bias

    def call(self, target: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
        """Emit an ATen operator; see :meth:`Emitter.call`."""
        return self.emitter.call(target, *args, **kwargs)

    def numbers(self, position: int) -> Tensor:
        """A constant input's numbers.

        Raises:
            FrontendError: it depends on the model's input.
        """
        return self.emitter.numbers(self.x(position), f"input {position} of {self.op_type}")

    def ints(self, name: str, position: int | None = None) -> list[int] | None:
        """Whole numbers from an attribute or, in later opsets, from a constant input; None without."""
        if name in self.attributes:
            given = self.attributes[name]
            return [int(v) for v in given] if isinstance(given, list | tuple) else [int(given)]
        if position is None or not self.has(position):
            return None
        return [int(v) for v in self.numbers(position).reshape(-1).tolist()]

    def wants(self, position: int) -> bool:
        """Whether anybody reads an optional output."""
        return position < len(self.outputs) and bool(self.outputs[position])

    def refuse(self, what: str) -> UnknownOperatorError:
        """The error for an option that is not translated."""
        return UnknownOperatorError(
            f"{self}: {what} is not supported", remedy="export the model with another opset or option"
        )

    def __str__(self) -> str:
        return f"{self.op_type} {self.name!r}" if self.name else self.op_type
