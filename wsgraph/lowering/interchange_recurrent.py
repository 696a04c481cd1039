"""Recurrent layers: what a step takes from the step before moves with what the step before gave.

Gates, memory and result of a hidden unit hang together by their one-to-one edges, so all that has to be
noted is that a state's node is the result's node of the step before, and where an initial state tells
neurons apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.ir.graph import Value
from wsgraph.lowering.interchange_notes import SCALES
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from wsgraph.ir.graph import Op
    from wsgraph.lowering.builder import GraphBuilder, Nodes
    from wsgraph.lowering.interchange_constants import Constants
    from wsgraph.lowering.interchange_notes import Notes
    from wsgraph.lowering.operation import State

__all__ = ["RECURRENT", "along_steps", "note_states", "tells_apart"]

RECURRENT = frozenset(
    f"aten.{name}{ending}" for name in ("lstm", "gru", "rnn_tanh", "rnn_relu") for ending in ("", "_cell")
)
"""Layers over a sequence, and single steps."""


def note_states(builder: GraphBuilder, notes: Notes) -> None:
    """Tie each state to the result that it repeats.

    A factor on a result would be one on the state too, which goes through other operators: none is allowed.
    """
    repeated = torch.zeros(builder.num_nodes, dtype=torch.bool)
    for result, state in builder.recurrences:
        notes.meetings.append((result, state))
        repeated[state] = True
    for block in builder.blocks:
        if block.attrs.get("op") not in RECURRENT:
            continue
        for kind in SCALES:
            notes.unscale(block.ids, kind)
        if block.attrs.get("role") == "state" and not bool(repeated[block.ids].all()):
            _tie_to_gate(builder, block, notes)


def _tie_to_gate(builder: GraphBuilder, state: Nodes, notes: Notes) -> None:
    """A state that repeats nothing: a sequence of one step, or the first of many written out.

    From zeros its weights are of no consequence and could be permuted for themselves. With another step
    they could not, so the state's units are its gates'.
    """
    for edge in builder.edges:
        if edge.dst.size == state.size and torch.equal(edge.src, state.ids):
            notes.meetings.append((edge.dst.ids, state.ids))
            return
    notes.pin(state.ids)


def along_steps(op: Op, states: Mapping[Value, State]) -> Iterator[Activation]:
    """Activations with neurons along other dimensions than the last: steps and batches have an order."""
    for value in _given(op):
        state = states.get(value)
        if isinstance(state, Activation):
            last = len(state.shape) - 1
            if any(not set(axis.dims) <= {last} for axis in state.axes if not axis.is_sites):
                yield state


def tells_apart(op: Op, states: Mapping[Value, State], constants: Constants) -> bool:
    """Whether an initial state, as a constant or along its batch, could differ from neuron to neuron."""
    for value in _given(op)[1:]:
        state = states.get(value)
        if isinstance(state, Activation):
            continue
        if isinstance(state, ParamValue) and state.kind.value == "parameter":
            # Of a parameter only the first row is followed: the others must be the same elements.
            if _batches(state):
                return True
        elif _varies(constants.fixed(value)):
            return True
    return False


def _given(op: Op) -> list[Value]:
    """Input and initial states."""
    states = op.arguments.get("hx")
    states = states if isinstance(states, list | tuple) else [states]
    return [v for v in (op.arguments.get("input"), *states) if isinstance(v, Value)]


def _batches(state: ParamValue) -> bool:
    batch = len(state.shape) - 2
    if batch < 0 or state.shape[batch] == 1:
        return False
    return state.view is None or state.view.stride()[batch] != 0


def _varies(data: Tensor | None) -> bool:
    return data is None or bool((data != data[..., :1]).any())
