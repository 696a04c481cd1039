"""Parameters put together from pieces, ``cat([q_bias, zeros, v_bias])``: which piece is whose.

Putting together computes nothing, so a piece of the result is a piece of a parameter: features that read
one parameter only name that parameter, and no tensor has to be derived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsgraph.ir.graph import Op, Value
    from wsgraph.lowering.operation import State

__all__ = ["Origins"]

JOINING = frozenset({"aten.cat", "aten.concat", "aten.stack", "aten.slice_scatter", "aten.select_scatter"})
"""Operators that put pieces together."""


@dataclass(eq=False)
class Origins:
    """Where the elements of joined tensors come from.

    Attributes:
        elements: for each joined tensor's name, a number for each of its elements: the source's base
            plus the element's position in the source; -1 for zeros.
        sources: base, name and size of each source, bases ascending.
    """

    elements: dict[str, Tensor] = field(default_factory=dict)
    sources: list[tuple[int, str, int]] = field(default_factory=list)

    def follow(
        self, op: Op, states: Sequence[State], constant: Callable[[Value], Tensor | None]
    ) -> Tensor | None:
        """Element numbers of a joined tensor, or None if the operator does more than join."""
        if op.key == "aten.zero":
            return torch.full(op.outputs[0].shape, -1)
        if op.key not in JOINING:
            return None
        pieces = []
        for value, state in zip(op.inputs(), states, strict=True):
            piece = self._piece(value, state, constant)
            if piece is None:
                return None
            pieces.append(piece)
        if op.key.endswith("_scatter"):
            return op.target(*pieces, *op.args[2:], **op.kwargs)  # type: ignore[no-any-return]  # an ATen operator
        dim: Any = op.arguments.get("dim", 0)
        return torch.stack(pieces, dim) if op.key == "aten.stack" else torch.cat(pieces, dim)

    def _piece(self, value: Value, state: State, constant: Callable[[Value], Tensor | None]) -> Tensor | None:
        if isinstance(state, ParamValue) and state.kind.value == "parameter":
            if state.name in self.elements:
                return self.elements[state.name].reshape(-1)[state.elements()]
            elements = state.elements()
            return torch.where(elements >= 0, elements + self._base(state), -1)
        tensor = constant(value)
        # A model on meta does not say what its constants are; what is joined to weights is padding.
        if tensor is not None and bool(tensor.any()):
            return None
        return torch.full(value.shape, -1)

    def _base(self, p: ParamValue) -> int:
        for base, name, _ in self.sources:
            if name == p.name:
                return base
        last = self.sources[-1] if self.sources else (0, "", 0)
        self.sources.append((last[0] + last[2], p.name, p.size))
        return self.sources[-1][0]

    def pieces(self, p: ParamValue) -> list[ParamValue]:
        """What a view reads of each source."""
        if p.name not in self.elements:
            return [p]
        numbers = self.elements[p.name].reshape(-1)[p.elements()].reshape(-1)
        out = []
        for base, name, size in self.sources:
            own = numbers[(numbers >= base) & (numbers < base + size)]
            if len(own):
                out.append(ParamValue(name, size, None, own - base, p.kind))
        return out

    def resolve(self, p: ParamValue) -> ParamValue:
        """The same elements as a view of the one parameter that they all come from, if there is one."""
        if p.name not in self.elements:
            return p
        numbers = self.elements[p.name].reshape(-1)[p.elements()]
        known = numbers[numbers >= 0]
        if not len(known):
            return p
        for base, name, size in self.sources:
            if base <= int(known[0]) < base + size:
                if int(known.min()) < base or int(known.max()) >= base + size:
                    return p
                layout = ParamValue(name, size, None, numbers, p.kind)
                return layout.from_elements(torch.where(numbers >= 0, numbers - base, -1))
        return p

    def is_zero(self, p: ParamValue) -> bool:
        """Whether the view reads nothing but zeros that were put in."""
        if p.name not in self.elements:
            return False
        return bool((self.elements[p.name].reshape(-1)[p.elements()] < 0).all())
