"""The stored tensors of a model: which are parameters, which are buffers and constants.

ONNX does not say, but torch's newer exporter does in its notes. Elsewhere a floating-point initializer that
reaches the computation is a parameter; numbers that only steer it (shapes, axes, indices, scales of a Resize)
are buffers. So are additive masks, and single numbers that an exporter wrote for a factor of the code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.ir.graph import Graph, Value, ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Initializers"]

_GENERATED = re.compile(
    r"val_\d+|onnx::\w+|scalar_tensor\w*|\d+|\S*Constant\S*|(\S*\.)?(lifted_tensor_|_tensor_constant)\d+"
)
"""Names that torch's exporters make up: the factor 0.5 of a forward has one, a parameter has its own."""

_WRITTEN = re.compile(r"(/\S*)?/Constant(_\d+)?_output_0")
"""Names of tensors that stand in the code itself; all other weights of the older exporter have their own."""

_MASKED = -100.0
"""At or below this, an additive mask's one number besides zero switches a position off."""


class Initializers:
    """The stored tensors by name, and what has become of each in the graph.

    Args:
        graph: where those that operators read are declared.
        tensors: the stored tensors by name.
        exporter: the model's ``producer_name``.
        recorded: which of them the exporter wrote down as parameters, or as none.
    """

    def __init__(
        self,
        graph: Graph,
        tensors: Mapping[str, Tensor],
        exporter: str = "",
        recorded: Mapping[str, bool] | None = None,
    ) -> None:
        self._graph = graph
        self._tensors = dict(tensors)
        self._exporter = exporter
        self._recorded = recorded or {}
        self._values: dict[str, Value] = {}
        self._names = {id(t): name for name, t in self._tensors.items()}
        self._steering: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def operand(self, name: str) -> Value | Tensor:
        """What a name of an initializer stands for: a parameter, or a constant."""
        tensor = self._tensors[name]
        return self._parameter(name) if self._may_be_parameter(name, tensor) else tensor

    def add(self, name: str, tensor: Tensor) -> Value | Tensor:
        """A weight that stands in a ``Constant`` node instead of an initializer."""
        self._tensors[name] = tensor
        self._names[id(tensor)] = name
        return self.operand(name)

    def parameter(self, operand: Value | Tensor) -> Value | Tensor:
        """An initializer of whatever type as a parameter (quantised weights); other operands as they are."""
        name = self._names.get(id(operand)) if isinstance(operand, Tensor) else None
        return operand if name is None or name in self._graph.tensors else self._parameter(name)

    def buffer(self, operand: Value | Tensor) -> Value | Tensor:
        """An initializer that is no parameter: running statistics, scales of quantised activations."""
        if not isinstance(operand, Value) or self._values.get(operand.name) is not operand:
            return operand
        known = self._graph.tensors.get(operand.name)
        return known or self._graph.tensors.setdefault(operand.name, self._buffer(operand.name))

    def zeros(self, operand: Value | Tensor) -> Value | Tensor:
        """An initial state as a buffer where it is zero, which is no state that was learned."""
        known = self._values.get(operand.name) if isinstance(operand, Value) else None
        if known is operand and not bool(self._tensors[operand.name].any()):
            return self.buffer(operand)
        return operand

    def repeats(self, operand: Value | Tensor, number: float) -> bool:
        """Whether an operand is a constant of nothing but this number.

        Exporters write a scale of ones and a shift of zeros for a normalisation that has none.
        """
        known = self.folded(operand) if isinstance(operand, Value) else operand
        if known is None or not bool(torch.all(known == number)):
            return False
        self.buffer(operand)
        return True

    def numbers(self, value: Value) -> Tensor | None:
        """The numbers behind a parameter that is used to steer the computation, or None."""
        if self._values.get(value.name) is not value:
            return None
        self._steering.add(value.name)
        return self._tensors[value.name]

    def folded(self, value: Value) -> Tensor | None:
        """The numbers of a tensor that the exporter folded, or None for parameters and all else."""
        if self._values.get(value.name) is not value or not self._generated(value.name):
            return None
        return self._tensors[value.name]

    def declare(self, value: Value) -> Value:
        """Declare an initializer in the graph on its first use by an operator."""
        if self._values.get(value.name) is value:
            self._graph.tensors.setdefault(value.name, value)
        return value

    def stored(self, tensor: Tensor) -> Value | None:
        """The buffer that a constant is stored as, or None for one that was computed."""
        name = self._names.get(id(tensor))
        if name is None:
            return None
        return self._graph.tensors.setdefault(name, self._buffer(name))

    def finish(self) -> dict[str, Tensor]:
        """Declare the parameters that nothing reads; all stored tensors by name."""
        for name, tensor in self._tensors.items():
            if name not in self._graph.tensors and name not in self._steering:
                value = self.operand(name)
                if isinstance(value, Value):
                    self._graph.tensors[name] = value
                else:
                    self.stored(tensor)
        return self._tensors

    def _buffer(self, name: str) -> Value:
        tensor = self._tensors[name]
        return Value(name, tuple(tensor.shape), tensor.dtype, ValueKind.BUFFER, tensor)

    def _parameter(self, name: str) -> Value:
        tensor = self._tensors[name]
        fresh = Value(name, tuple(tensor.shape), tensor.dtype, ValueKind.PARAMETER)
        return self._values.setdefault(name, fresh)

    def _may_be_parameter(self, name: str, tensor: Tensor) -> bool:
        if not tensor.dtype.is_floating_point:
            return False
        if name in self._recorded:
            return self._recorded[name]
        if tensor.numel() == 1 and tensor.dim() <= 1:
            own = not self._recorded and not self._generated(name)
            return own if self._exporter == "pytorch" else tensor.dim() == 1
        if self._exporter == "pytorch" and _WRITTEN.fullmatch(name) and _is_uniform(tensor):
            return False  # torch.zeros or torch.ones in the code: a recurrent layer's initial state, a mask
        return not _is_mask(tensor, generated=self._generated(name))

    def _generated(self, name: str) -> bool:
        """Whether torch's exporter made the tensor: it folded it, or turned a weight round."""
        return self._exporter == "pytorch" and _GENERATED.fullmatch(name) is not None


def _is_uniform(tensor: Tensor) -> bool:
    return bool(torch.all(tensor == tensor.reshape(-1)[:1]))


def _is_mask(tensor: Tensor, *, generated: bool) -> bool:
    """Whether the tensor holds zeros and one large negative number: an additive attention mask.

    A mask that hides nothing is all zeros; an exporter that folded it gave it four dimensions.
    """
    if tensor.dtype.itemsize == 1:  # an eight-bit float, which torch does not even compare
        return False
    start = tensor.reshape(-1)[:16]  # enough for nearly all weights, which are not read as a whole here
    if not bool(torch.all((start == 0) | (start <= _MASKED))):
        return False
    lowest = tensor.min() if tensor.numel() else tensor.new_zeros(())
    empty = generated and tensor.dim() == 4
    return (empty or bool(lowest <= _MASKED)) and bool(torch.all((tensor == 0) | (tensor == lowest)))
