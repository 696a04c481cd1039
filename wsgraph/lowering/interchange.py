"""What keeps neurons from being interchanged that no edge shows, gathered after lowering (DESIGN section 7).

An event stream says which neuron feeds which. It does not say that a constant differs from neuron to
neuron, that a normalisation couples the neurons of a group, or which query neuron meets which key neuron.
This pass over the lowered operators collects just that, and whatever it does not understand it pins:
symmetries are claimed only where every operator is known to treat its neurons alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from wsgraph.lowering.interchange_axes import NeuronCache, rows
from wsgraph.lowering.interchange_constants import Constants
from wsgraph.lowering.interchange_notes import SCALES, Notes, digest
from wsgraph.lowering.interchange_ops import (
    ARG_REDUCTIONS,
    HOMOGENEOUS,
    PICKS,
    PRODUCTS,
    SITE_OPS,
    UNDERSTOOD,
    WRITES,
    coupling,
    operands,
    picked_alike,
    picked_dims,
    written_dims,
)
from wsgraph.lowering.interchange_recurrent import RECURRENT, along_steps, note_states, tells_apart
from wsgraph.provenance.axes import Activation, Axis, restrict
from wsgraph.provenance.moves import IDENTITIES, MOVEMENTS
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsgraph.ir.graph import Op, Value
    from wsgraph.lowering.driver import Lowered
    from wsgraph.lowering.interchange_ops import Operand
    from wsgraph.lowering.operation import State

__all__ = ["gather_notes"]

_TOLD_APART = 1 << 20
"""Elements of a value beyond which neurons that positions move are pinned rather than compared."""

_KNOWN = UNDERSTOOD | RECURRENT
_EXPANSIONS = frozenset({"aten.expand", "aten.broadcast_to"})


def gather_notes(lowered: Lowered) -> Notes:
    """Go through a lowered graph once.

    Returns:
        Which neurons are told apart by something else than their edges, over global node numbers.
    """
    return _Gatherer(lowered).run()


class _Gatherer:
    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.states: Mapping[Value, State] = lowered.states
        self.constants = Constants(lowered.graph)
        self.neurons = NeuronCache(lowered.builder)
        self.notes = Notes(lowered.builder.num_nodes)
        self.unscaled: set[object] = set()
        self.producers = {value: op for op in lowered.graph.ops for value in op.outputs}

    def run(self) -> Notes:
        for value in self.lowered.graph.inputs:
            self._shade(value)
        for number, op in enumerate(self.lowered.graph.ops):
            self._op(number, op)
            for value in op.outputs:
                self._shade(value)
        for value in self.lowered.graph.outputs:
            self._pin_value(value)
        self.notes.meetings.extend(self.lowered.builder.meetings)
        for ids, places in self.lowered.builder.placed:
            self.notes.tell_apart(ids, places)
        note_states(self.lowered.builder, self.notes)
        return self.notes

    def _op(self, number: int, op: Op) -> None:
        if op.key in MOVEMENTS:
            self._movement(op)
            return
        involved = [v for v in (*op.inputs(), *op.outputs) if isinstance(self.states.get(v), Activation)]
        if op.key in IDENTITIES or not any(v in involved for v in op.outputs):
            return  # without an activation among the results, only the inputs' shapes matter
        pointwise = torch.Tag.pointwise in getattr(op.target, "tags", ())
        if op.key in ARG_REDUCTIONS or not (pointwise or op.key in _KNOWN):
            for value in involved:
                self._pin_value(value)
            return
        for position, value in enumerate(op.inputs()):
            self._treated(op, value, number, position)
        self._meetings(operands(op, pointwise=pointwise))
        for value, dims, split in coupling(op):
            self._couple(value, dims, split)
        if op.key in SITE_OPS:
            self._pin_along(op.inputs()[0], SITE_OPS[op.key])
        if op.key in WRITES:
            self._written(op)
        if op.key in RECURRENT:
            self._recurrent(op)

    def _recurrent(self, op: Op) -> None:
        for state in along_steps(op, self.states):
            self._pin_axes(state)
        if tells_apart(op, self.states, self.constants):
            for value in op.outputs:
                self._pin_value(value)

    def _movement(self, op: Op) -> None:
        """Positions that are not known at compile time could be any."""
        first, *rest = op.inputs()
        self._meetings(operands(op, pointwise=False))
        if all(self.constants.get(v) is not None for v in rest):
            return
        x = self._activation(first)
        if op.key not in PICKS or (x is None and any(self._activation(v) is None for v in rest)):
            self.notes.unknown = True
        elif x is not None:
            dims = picked_dims(op, self.constants.get)
            # Neurons of which each is read elsewhere are told apart, though it is known which one is read.
            self._picked(x, dims if picked_alike(op, dims) else picked_dims(op))
        for value in rest:  # each neuron decides what is at another place
            self._pin_value(value)

    def _picked(self, x: Activation, dims: set[int]) -> None:
        for axis in x.axes:
            if not axis.is_sites:
                self._place(axis, [d for d in axis.dims if d in dims])

    def _written(self, op: Op) -> None:
        dims = picked_dims(op)
        # With other dimensions between them, the written tensor's come in another order.
        apart = max(dims) - min(dims) >= len(dims)
        *indices, written = op.inputs()[1:]
        along, new = written_dims(op), self._activation(written)
        # Of neurons that lie along both, others are written at another place of each that is written to.
        mixed = new is not None and any({*a.dims} & along and {*a.dims} - along for a in new.nodes)
        for value in op.inputs():
            x = self._activation(value)
            if apart or mixed or value in indices:  # each neuron of an index decides another place
                self._pin_value(value)
            elif x is not None:
                self._picked(x, along if value is written else dims)

    def _place(self, axis: Axis, along: list[int]) -> None:
        """Neurons at different places along some dimensions are told apart."""
        if along and not axis.is_nodes:
            self._pin(axis)
        elif along:
            small = axis.small()
            place = torch.arange(math.prod(small.shape[d] for d in along))
            place = place.view([n if d in along else 1 for d, n in enumerate(small.shape)])
            self.notes.tell_apart(small.reshape(-1), place.expand(small.shape).reshape(-1, 1))

    def _activation(self, value: Value) -> Activation | None:
        state = self.states.get(value)
        return state if isinstance(state, Activation) else None

    def _pin_value(self, value: Value) -> None:
        x = self._activation(value)
        if x is not None:
            self._pin_axes(x)

    def _pin_axes(self, x: Activation) -> None:
        for axis in x.axes:
            self._pin(axis)

    def _pin(self, axis: Axis) -> None:
        for neurons in self.neurons.of(axis):
            self.notes.pin(neurons.ids)

    def _treated(self, op: Op, value: Value, number: int, position: int) -> None:
        """Neurons that go through an operator differ from those that do not."""
        x = self._activation(value)
        # x * f(x) and c / x are no multiples of x.
        others = [v for k, v in enumerate(op.inputs()) if k != position and self._activation(v) is not None]
        linear = op.key not in PRODUCTS or not (others or (op.key == "aten.div" and position > 0))
        kinds = [kind for kind in SCALES if not linear or op.key not in HOMOGENEOUS[kind]]
        for axis in x.axes if x is not None else ():
            for neurons in self.neurons.of(axis):
                if not neurons.whole:
                    self.notes.mark(neurons.ids, (number << 20) + position)
            for kind in kinds:
                self._unscale(axis, kind)

    def _unscale(self, axis: Axis, kind: str) -> None:
        key = (self.neurons.key(axis), kind)
        if key not in self.unscaled:
            self.unscaled.add(key)
            for neurons in self.neurons.of(axis):
                self.notes.unscale(neurons.ids, kind)

    def _shade(self, value: Value) -> None:
        """Neurons whose positions lie differently (shifted channels, parts of a patch) are told apart."""
        x = self._activation(value)
        for axis in x.nodes if x is not None else ():
            assert x is not None
            moved = [site for site in x.sites if set(site.dims) & set(axis.dims)]
            if moved and axis.small().numel() > _TOLD_APART:
                self._pin(axis)
                continue
            for site in moved:
                places = rows(restrict(site.labels, (*site.dims, *axis.dims)), axis.dims)
                labels = rows(axis.small(), axis.dims).reshape(-1)
                self.notes.tell_apart(labels, places)

    def _meetings(self, given: list[Operand]) -> None:
        """Where neurons of one operand meet something of another that varies with them."""
        for x, letters in given:
            state = self._activation(x)
            for axis in state.axes if state is not None else ():
                if axis.is_sites or not axis.dims:
                    continue
                for y, others in given:
                    if y is not x:
                        self._meet(axis, [letters[d] for d in axis.dims], y, others)

    def _meet(self, axis: Axis, own: list[int], other: Value, letters: list[int]) -> None:
        repeated = self._repeated(other)
        along = [d for d, n in enumerate(other.shape) if n > 1 and letters[d] in own and d not in repeated]
        met = {letters[d] for d in along}
        state = self.states.get(other)
        if not along or (isinstance(state, ParamValue) and state.kind.value == "parameter"):
            return
        if isinstance(state, Activation):
            partners = [a for a in state.axes if not a.is_sites and set(a.dims) & set(along)]
            if len(partners) > 1:
                self._pin(axis)
            elif not partners:  # alike for all neurons of a place
                self._place(axis, [d for d, c in zip(axis.dims, own, strict=True) if c in met])
            else:  # several may meet one neuron, each at another of its positions
                for site in state.sites:
                    if set(site.dims) & set(along):
                        self._meet_known(axis, own, site.small(), letters)
            return
        data = None if isinstance(state, ParamValue) else self.constants.fixed(other)
        if data is None:
            self._pin(axis)
            return
        self._meet_known(axis, own, data, letters)

    def _repeated(self, value: Value) -> set[int]:
        """Dimensions along which a value was expanded, and so is the same."""
        op = self.producers.get(value)
        if op is None or op.key not in _EXPANSIONS:
            return set()
        shape = op.inputs()[0].shape
        new = len(value.shape) - len(shape)
        return {*range(new), *(d + new for d, n in enumerate(shape) if n == 1)}

    def _meet_known(self, axis: Axis, own: list[int], data: Tensor, letters: list[int]) -> None:
        """Neurons that meet different values, or different positions, are told apart."""
        small = axis.small()
        sizes = [small.shape[d] for d in axis.dims]
        rest = [d for d, letter in enumerate(letters) if letter not in own]
        data = data.permute(*[letters.index(c) for c in own if c in letters], *rest)
        for k, letter in enumerate(own):
            if letter not in letters:
                data = data.unsqueeze(k)
        kinds = digest(data.flatten(len(sizes)) if rest else data.unsqueeze(-1))
        kinds = kinds.expand(sizes).reshape(-1, 1)
        labels = rows(small, axis.dims).reshape(-1)
        if axis.is_nodes:
            self.notes.tell_apart(labels, kinds)
            return
        assert axis.attention is not None
        for _, table in axis.attention.sources:
            picked = table[labels]
            self.notes.tell_apart(picked.reshape(-1), kinds.repeat_interleave(picked.shape[1], 0))

    def _couple(self, value: Value, dims: tuple[int, ...], split: int) -> None:
        x = self._activation(value)
        for axis in x.nodes if x is not None else ():
            reduced, kept = set(axis.dims) & set(dims), [d for d in axis.dims if d not in dims]
            if not reduced or not (kept or split > 1):
                continue
            small = axis.small()
            group = torch.zeros((), dtype=torch.int64)
            for d in axis.dims:
                at = torch.arange(small.shape[d]).view([-1 if e == d else 1 for e in range(small.dim())])
                if d in kept:
                    group = group * small.shape[d] + at
                elif split > 1:
                    group = group * split + at // max(1, small.shape[d] // split)
            self.notes.couple(small.reshape(-1), group.expand(small.shape).reshape(-1))

    def _pin_along(self, value: Value, spatial: int) -> None:
        """Neurons that lie along dimensions which an operator takes for positions."""
        x = self._activation(value)
        if x is None:
            return
        dims = range(len(x.shape) - spatial, len(x.shape))
        for axis in x.axes:
            if not axis.is_sites and set(axis.dims) & set(dims):
                self._pin(axis)
