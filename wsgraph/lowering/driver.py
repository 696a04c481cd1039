"""Lowering a whole graph: one operator after the other, each through its plugin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from wsgraph.errors import LoweringError
from wsgraph.ir.constants import ConstantPool
from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.ir.layers import TABLES, WEIGHTS
from wsgraph.lowering.derive import Deriver, is_pure
from wsgraph.lowering.facade import LoweringGraph
from wsgraph.lowering.inputs import input_state
from wsgraph.lowering.opaque import lower_opaque
from wsgraph.lowering.operation import Operation, State
from wsgraph.lowering.origins import Origins
from wsgraph.lowering.sources import force
from wsgraph.lowering.unsupported import unsupported
from wsgraph.provenance.axes import Activation, Axis
from wsgraph.provenance.moves import IDENTITIES, MOVEMENTS, mover, only_shape_matters
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.lowering.registry import Registry
    from wsgraph.options import CompileOptions

__all__ = ["Lowered", "lower_graph"]


@dataclass(eq=False, slots=True)
class Lowered:
    """A lowered graph before assembly.

    Attributes:
        graph: the IR.
        builder: blocks and edges over global node numbers.
        states: what is known of every value, right after its operator.
        reads: parameter views that operators read, by tensor name.
        deriver: derived tensors.
        origins: joined tensors, whose pieces are pieces of parameters.
    """

    graph: Graph
    builder: LoweringGraph
    states: dict[Value, State] = field(default_factory=dict)
    reads: dict[str, list[ParamValue]] = field(default_factory=dict)
    deriver: Deriver = field(default_factory=Deriver)
    origins: Origins = field(default_factory=Origins)


def lower_graph(graph: Graph, registry: Registry, options: CompileOptions) -> Lowered:
    """Lower every operator.

    Raises:
        UnsupportedOperatorError: an operator that no plugin lowers.
        LoweringError: an operator whose wiring cannot be followed.
    """
    lowered = Lowered(graph, LoweringGraph(options))
    constants = ConstantPool(graph)
    lowered.deriver.constants = constants.get
    counts = _use_counts(graph)
    for value in graph.inputs:
        lowered.states[value] = input_state(lowered.builder, graph, value)
    for value in graph.tensors.values():
        lowered.states[value] = _tensor_state(value)
    for op in graph.ops:
        lowered.builder.op = op
        lowered.builder.now = _time(lowered, op)
        results = _lower_op(lowered, op, registry, constants)
        for value, state in zip(op.outputs, results, strict=True):
            if isinstance(state, Activation):
                _count_sites(state)
            if isinstance(state, Activation) and state.fresh is not None and counts.get(value, 0) != 1:
                state = replace(state, fresh=None)  # noqa: PLW2901  the state as the next operators may see it
            lowered.states[value] = state
    _finish_outputs(lowered)
    lowered.builder.op = None
    return lowered


def _count_sites(state: Activation) -> None:
    """Note on a new block how many positions its neurons take."""
    block = state.fresh
    if block is None or "sites" in block.attrs or not state.nodes:
        return
    nodes = state.nodes
    newest = nodes[0] if len(nodes) == 1 else max(nodes, key=Axis.newest)
    block.attrs["sites"] = math.prod(n for d, n in enumerate(state.shape) if d not in newest.dims)


def _time(lowered: Lowered, op: Op) -> int:
    """Latest timestamp of the neurons that go into an operator."""
    axes = [a for v in op.inputs() if isinstance(s := lowered.states[v], Activation) for a in s.nodes]
    if len(axes) < 2:
        return 0
    return max(lowered.builder.time(a.ids()) for a in axes)


def _tensor_state(value: Value) -> State:
    quantised = value.kind is ValueKind.PARAMETER and value.dtype in (torch.int8, torch.uint8)
    continuous = value.dtype.is_floating_point or value.dtype.is_complex
    if value.kind is ValueKind.CONSTANT or not (continuous or quantised):
        return Constant(value)
    return ParamValue.whole(value.name, value.shape, value.kind)


def _use_counts(graph: Graph) -> Mapping[Value, int]:
    counts: dict[Value, int] = {}
    for op in graph.ops:
        for value in op.inputs():
            counts[value] = counts.get(value, 0) + 1
    for value in graph.outputs:
        counts[value] = counts.get(value, 0) + 1
    return counts


def _is_parameter(state: State) -> bool:
    return isinstance(state, ParamValue) and state.kind is ValueKind.PARAMETER


def _lower_op(lowered: Lowered, op: Op, registry: Registry, constants: ConstantPool) -> list[State]:
    states = [lowered.states[v] for v in op.inputs()]
    if only_shape_matters(op.key):
        return [Constant(v) for v in op.outputs]
    if not any(isinstance(s, Activation) for s in states):
        if not any(_is_parameter(s) for s in states):
            return _move_buffer(op, states, constants) or [Constant(v) for v in op.outputs]
        if not _is_layer(op, lowered, registry):
            return _compute_parameters(lowered, op, states, constants)
    function = registry.lowering_for(op)
    moved = op.key in MOVEMENTS or op.key in IDENTITIES
    if not moved:
        _record_reads(lowered, states)
    if function is None:
        if lowered.builder.options.unsupported == "opaque":
            return lower_opaque(lowered.builder, op, states)
        raise unsupported(op, with_parameters=any(_is_parameter(s) for s in states))
    seen = Operation(op, lowered.states, lowered.builder, constants, lowered.deriver)
    result = function(seen, lowered.builder)
    results = list(result) if isinstance(result, tuple | list) else [result]
    _check_results(op, results)
    return results


def _is_layer(op: Op, lowered: Lowered, registry: Registry) -> bool:
    """Whether an operator between parameters acts as a layer, its first argument a table of inputs."""
    plugins_own = not is_pure(op) and not op.key.startswith("aten.")
    if op.key in TABLES or (plugins_own and registry.lowerings.get(op.key) is not None):
        return True
    weight = op.arguments[WEIGHTS[op.key]] if op.key in WEIGHTS else None
    return isinstance(weight, Value) and _is_parameter(lowered.states[weight])


def _check_results(op: Op, results: list[State]) -> None:
    shapes = [v.shape for v in op.outputs]
    got = [r.shape if isinstance(r, Activation | ParamValue) else r.value.shape for r in results]
    if got != shapes:
        raise LoweringError(f"the lowering of {op!r} returns activations of shapes {got}, expected {shapes}")


def _move_buffer(op: Op, states: list[State], constants: ConstantPool) -> list[State] | None:
    """Running statistics that are only reshaped stay views of their buffer."""
    if len(states) == 1 and isinstance(states[0], ParamValue):
        return _move_parameter(op, states[0], constants)
    return None


def _move_parameter(op: Op, state: ParamValue, constants: ConstantPool) -> list[State] | None:
    if op.key in IDENTITIES:
        return [state for _ in op.outputs]
    if op.key in MOVEMENTS:
        return [state.apply(mover(op, k, constants.get)) for k in range(len(op.outputs))]
    return None


def _compute_parameters(
    lowered: Lowered, op: Op, states: list[State], constants: ConstantPool
) -> list[State]:
    """Nothing but parameters and constants go in: a view of a parameter, or a derived tensor."""
    first = states[0]
    others = states[1:]
    if isinstance(first, ParamValue) and not any(isinstance(s, ParamValue) for s in others):
        moved = _move_parameter(op, first, constants)
        if moved is not None:
            return moved
    if lowered.builder.options.unsupported == "opaque" and not is_pure(op):
        _record_reads(lowered, states)
        return lower_opaque(lowered.builder, op, states)
    derived = lowered.deriver.add(op)
    joined = lowered.origins.follow(op, states, constants.get)
    if joined is None:
        _record_reads(lowered, states)
    else:
        lowered.origins.elements[derived[0].name] = joined
    return list(derived)


def _record_reads(lowered: Lowered, states: list[State]) -> None:
    for state in states:
        if isinstance(state, ParamValue):
            for piece in lowered.origins.pieces(state):
                lowered.reads.setdefault(piece.name, []).append(piece)


def _finish_outputs(lowered: Lowered) -> None:
    """The network's result: logits get nodes, and the blocks that hold it are outputs."""
    producers = {value: op for op in lowered.graph.ops for value in op.outputs}
    for value in lowered.graph.outputs:
        state = lowered.states[value]
        if not isinstance(state, Activation):
            continue
        if state.pending:
            lowered.builder.op = producers[value]
            state = lowered.states[value] = force(lowered.builder, state)
        for axis in state.nodes:
            for block in lowered.builder.blocks_of(axis.ids()):
                if block.attrs.get("role") == "hidden":
                    block.attrs["role"] = "output"
