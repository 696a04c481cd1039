"""One operator as a lowering sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from wsgraph.errors import LoweringError
from wsgraph.ir.graph import Op, Value, ValueKind
from wsgraph.lowering.per_neuron import as_activation
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsgraph.ir.constants import ConstantPool
    from wsgraph.lowering.builder import GraphBuilder
    from wsgraph.lowering.derive import Deriver

__all__ = ["Operation", "State"]

State: TypeAlias = Activation | ParamValue | Constant
"""What is known of a value: neurons, parameter elements, or neither."""


class Operation:
    """An operator with the states of its inputs.

    Args:
        op: the operator.
        states: what is known of every value so far.
        graph: the graph under construction.
        constants: values of constants.
        deriver: names tensors that are in no checkpoint.
    """

    def __init__(
        self,
        op: Op,
        states: Mapping[Value, State],
        graph: GraphBuilder,
        constants: ConstantPool,
        deriver: Deriver,
    ) -> None:
        self.op = op
        self._states = states
        self._graph = graph
        self._constants = constants
        self._deriver = deriver
        self._arguments = op.arguments

    @property
    def key(self) -> str:
        """Canonical name, ``aten.conv2d``."""
        return self.op.key

    @property
    def name(self) -> str:
        """The key without its namespace, ``conv2d``."""
        return self.op.key.rpartition(".")[2]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.op.outputs[0].shape

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument as the call gives it, by schema name; tensors are IR values."""
        return self._arguments.get(name, default)

    def tensors(self) -> list[Value]:
        """Every tensor argument in order, lists flattened."""
        return self.op.inputs()

    def state(self, value: Any) -> State | None:
        """What is known of a value; None for what is no tensor."""
        return self._states[value] if isinstance(value, Value) else None

    def activation(self, name: str, dims: tuple[int, ...] = (-1,)) -> Activation:
        """An activation argument by schema name.

        Args:
            name: the argument.
            dims: where the neurons lie if the model passes a parameter here (learned queries).

        Raises:
            LoweringError: the argument is a constant or no tensor.
        """
        return self.as_activation(self.argument(name), dims, name)

    def as_activation(self, value: Any, dims: tuple[int, ...] = (-1,), name: str = "input") -> Activation:
        """The state of a value as an activation, see :meth:`activation`."""
        state = self.state(value)
        if isinstance(state, Constant) or (isinstance(state, ParamValue) and state.kind is ValueKind.BUFFER):
            return Activation(value.shape, ()).told_apart(range(len(value.shape)))
        if isinstance(state, ParamValue):
            return as_activation(self._graph, state, dims)
        if state is None:
            raise LoweringError(f"{self.op!r}: argument {name!r} is {value!r}, expected an activation")
        return state

    def param(self, name: str) -> ParamValue | None:
        """A parameter (or buffer) argument by schema name; None where the call leaves it out.

        Raises:
            LoweringError: the argument depends on the model's input.
        """
        state = self.state(self.argument(name))
        if state is None or isinstance(state, ParamValue):
            return state
        raise LoweringError(
            f"{self.op!r}: argument {name!r} is computed from the model's input, expected a parameter",
            remedy="networks whose weights depend on the input have no fixed graph",
        )

    def required_param(self, name: str) -> ParamValue:
        """Like :meth:`param`, for an argument that must be there."""
        view = self.param(name)
        if view is None:
            raise LoweringError(f"{self.op!r}: argument {name!r} is missing")
        return view

    def weight(self, value: Any, x: State | None, dim: int) -> State | None:
        """What is known of an operand that an activation is contracted with.

        A constant that is contracted with neurons is the fixed weight of a layer (random features, a Fourier
        transform); over positions it only mixes these, and stays a constant.

        Args:
            value: the operand.
            x: what it is contracted with.
            dim: the contracted dimension of ``x``.
        """
        state = self.state(value)
        if not isinstance(state, Constant) or not isinstance(x, Activation):
            return state
        dim %= len(x.shape)
        along = any(dim in a.dims for a in x.nodes)
        alone = x.shape[dim] == 1 and bool(x.nodes)
        return (self._deriver.fixed(state.value) if along or alone else None) or state

    def vanishes(self, value: Any) -> bool:
        """Whether an operand is a constant of zeros, such as a state before the first step."""
        state = self.state(value)
        numbers = self.constant(state.value) if isinstance(state, Constant) else None
        return numbers is not None and not bool(numbers.any())

    def constant(self, value: Value) -> Tensor | None:
        """The tensor behind a constant; None if its values are not known (traced on meta)."""
        return self._constants.get(value)

    def __repr__(self) -> str:
        return repr(self.op)
