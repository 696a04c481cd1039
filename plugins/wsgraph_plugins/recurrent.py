"""RNN, LSTM and GRU: whole layers, any number of them, in one or both directions, and single cells.

A layer is one step of its network, as a convolution is one position of it: the steps of the sequence are
positions. What a step takes from the step before are nodes of role ``state``, which have the same
``recurrence`` attribute as the nodes that they repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import LoweringError
from wsgraph.events.blocks import Learned
from wsgraph.lowering import contraction
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.per_neuron import as_activation
from wsgraph.provenance.axes import Activation, Axis, restrict
from wsgraph.provenance.params import ParamValue
from wsgraph_plugins.cells import CELLS, Step, Weights, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsgraph.ir.graph import Value
    from wsgraph.lowering.builder import Nodes
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation
    from wsgraph.lowering.sources import Sources
    from wsgraph_plugins.cells import Feed


@dataclass(eq=False)
class _Layers:
    """A recurrent operator: its layers, one direction after the other.

    Attributes:
        op: the operator.
        graph: the graph.
        cell: key of :data:`CELLS`.
        sources: the neurons of its input.
        steps: length of the sequence.
        states: initial states, ``[layers * directions, batch, n]`` each.
    """

    op: Operation
    graph: LoweringGraph
    cell: str
    sources: Sources
    steps: int
    states: list[Value]

    def run(self, groups: Sequence[Weights], directions: int) -> list[tuple[Nodes, Nodes | None]]:
        """Hidden and memory nodes of every layer and direction, in the parameters' order."""
        results: list[tuple[Nodes, Nodes | None]] = []
        feed: Feed = lambda dst, weight: self.graph.add_edges(self.sources, dst, weight)  # noqa: E731  rebound below
        for layer in range(len(groups) // directions):
            own = []
            for direction in range(directions):
                row = layer * directions + direction
                own.append(self.direction(row, feed, groups[row]))
            results += own
            ids = torch.cat([hidden.ids for hidden, _ in own])
            feed = partial(connect, self.graph, ids)
        return results

    def direction(self, row: int, feed: Feed, weights: Weights) -> tuple[Nodes, Nodes | None]:
        """One layer in one direction; the ``row``-th of the operator."""
        size = weights.recurrent.shape[1]
        hidden = self.previous(0, row, size)
        memory = None
        if self.cell == "lstm":
            memory = self.previous(1, row, weights.inputs.shape[0] // 4)
        new = CELLS[self.cell](Step(self.graph, feed, weights, hidden, memory))
        for name, before, after in zip(("hidden", "cell"), (hidden, memory), new, strict=True):
            if self.steps > 1 and before is not None and after is not None:
                label = f"{self.op.op.scope}/{len(self.graph.recurrences)}/{name}"
                self.graph.recurrences.append((after.ids, before))
                after.attrs["recurrence"] = self.graph.block_of(int(before[0])).attrs["recurrence"] = label
        return new

    def previous(self, position: int, row: int, size: int) -> Tensor:
        """The neurons that a step takes from the step before: at first the initial state."""
        initial = _initial(self.op, self.graph, self.states[position] if self.states else None, row)
        if initial is not None and self.steps == 1:
            return initial
        t = max(self.graph.now, self.graph.time(self.sources.ids))
        block = self.graph.add_nodes(size, role="state", t=t)
        if initial is not None:
            self.graph.one_to_one(initial, block, Learned("state"))
        return block.ids


def _initial(op: Operation, graph: LoweringGraph, value: Value | None, row: int) -> Tensor | None:
    """Neurons of an initial state; None where it is a constant."""
    state = op.state(value)
    if isinstance(state, ParamValue):
        if state.kind.value == "buffer":
            return None
        state = as_activation(graph, _of_row(state, row), (-1,))
    elif isinstance(state, Activation) and len(state.shape) == 3:
        axes = tuple(a.with_labels(a.labels.select(0, row)) for a in state.axes)
        state = Activation(state.shape[1:], axes, state.via)
    if not isinstance(state, Activation) or not (state.nodes or state.pending):
        return None
    return _one_group(op, graph.sources(state, -1)).ids[0]


def _of_row(initial: ParamValue, row: int) -> ParamValue:
    """One layer's and direction's initial state, ``[batch, n]``; a single row where all are the same."""
    if len(initial.shape) < 3:
        return initial
    own = initial.apply(lambda t: t.select(0, row))
    elements = own.elements()
    alike = bool((elements == elements[:1]).all())
    return own.apply(lambda t: t.narrow(0, 0, 1)) if alike else own


def _one_group(op: Operation, sources: Sources) -> Sources:
    if sources.groups > 1:
        raise LoweringError(
            f"{op!r} runs over {sources.groups} sets of neurons with one set of weights",
            remedy="pass --unsupported opaque to make it a learned all-to-all block",
        )
    return sources


def lower_layers(op: Operation, graph: LoweringGraph) -> tuple[Activation, ...]:
    """``aten.lstm``, ``aten.gru``, ``aten.rnn_tanh``, ``aten.rnn_relu`` over a batch of sequences.

    Raises:
        LoweringError: the sequences are packed, or the weights depend on the model's input.
    """
    if op.argument("input") is None:
        raise LoweringError(f"{op!r} takes a packed sequence", remedy="run the layer on padded sequences")
    along = 1 if op.argument("batch_first") else 0
    x = _without_neurons_along(graph, op.activation("input"), along)
    sources = _one_group(op, graph.sources(x, -1))
    states = op.argument("hx")
    states = states if isinstance(states, list | tuple) else [states]
    directions = 2 if op.argument("bidirectional") else 1
    groups = _weights(op, directions * int(op.argument("num_layers")))
    layers = _Layers(op, graph, op.name, sources, x.shape[along], list(states))
    results = layers.run(groups, directions)
    sequence = _sequence(op.shape, sources, [hidden for hidden, _ in results[-directions:]])
    out = [sequence.told_apart([along])]
    out.append(_last_step(op.op.outputs[1].shape, sources, along, [hidden for hidden, _ in results]))
    if op.name == "lstm":
        cells = [cell for _, cell in results if cell is not None]
        out.append(_last_step(op.op.outputs[2].shape, sources, along, cells))
    return tuple(out)


def _without_neurons_along(graph: LoweringGraph, x: Activation, dim: int) -> Activation:
    """Steps that are neurons are summed up before a layer runs over them, as before a convolution."""
    if not any(dim in a.dims for a in x.nodes):
        return x
    kept = tuple(1 if d == dim else n for d, n in enumerate(x.shape))
    return graph.reduce(x, (dim,), kept, "recurrent_sites").expanded(x.shape)


def _weights(op: Operation, count: int) -> list[Weights]:
    """The parameters, a group a layer and direction: two weights, two biases, a projection."""
    views = [_parameter(op, value) for value in op.argument("params")]
    per = len(views) // count
    groups = []
    for k in range(count):
        first, second, *rest = views[k * per : (k + 1) * per]
        biases = rest[:2] if op.argument("has_biases") else [None, None]
        projection = rest[-1] if per in (3, 5) else None
        groups.append(Weights(first, second, biases[0], biases[1], projection))
    return groups


def _parameter(op: Operation, value: Value) -> ParamValue:
    state = op.state(value)
    if isinstance(state, ParamValue):
        return state
    raise LoweringError(
        f"{op!r}: a weight is computed from the model's input, expected a parameter",
        remedy="networks whose weights depend on the input have no fixed graph",
    )


def _sequence(shape: tuple[int, ...], sources: Sources, blocks: Sequence[Nodes]) -> Activation:
    """The result at every step: both directions beside each other."""
    sizes = [(*shape[:-1], b.size) for b in blocks]
    parts = [contraction.output(sources, b, s, -1) for b, s in zip(blocks, sizes, strict=True)]
    if len(parts) == 1:
        return parts[0]
    axes = []
    for k, axis in enumerate(parts[0].axes):
        labels = [part.axes[k].labels for part in parts]
        last = len(shape) - 1
        if axis.is_nodes and last in axis.dims:
            small = torch.cat([restrict(t, (last,)) for t in labels], -1)
            axes.append(axis.with_labels(small.expand(shape)))
        else:
            axes.append(axis.with_labels(restrict(labels[0], range(last)).expand(shape)))
    return Activation(shape, tuple(axes))


def _last_step(shape: tuple[int, ...], sources: Sources, along: int, blocks: Sequence[Nodes]) -> Activation:
    """The result of every layer and direction after the last step, ``[layers * directions, batch, n]``."""
    labels = torch.stack([b.ids for b in blocks]).unsqueeze(1)
    axes = [Axis(labels.expand(shape))]
    batch = 1 - along
    for axis in sources.activation.axes:
        if axis is not sources.axis and batch in axis.dims:
            own = restrict(axis.labels, (batch,)).reshape(1, -1, 1)
            axes.append(axis.with_labels(own.expand(shape)))
    return Activation(shape, tuple(axes))


def lower_cell(op: Operation, graph: LoweringGraph) -> Any:
    """``aten.lstm_cell``, ``aten.gru_cell``, ``aten.rnn_tanh_cell``, ``aten.rnn_relu_cell``: one step."""
    sources = _one_group(op, graph.sources(op.activation("input"), -1))
    states = op.argument("hx")
    states = list(states) if isinstance(states, list | tuple) else [states]
    names = ("w_ih", "w_hh")
    first, second = (op.required_param(name) for name in names)
    weights = Weights(first, second, op.param("b_ih"), op.param("b_hh"))
    cell = op.name.removesuffix("_cell")
    results = _Layers(op, graph, cell, sources, 1, states).run([weights], 1)[0]
    blocks = [block for block in results if block is not None]
    outputs = zip(blocks, op.op.outputs, strict=True)
    return tuple(contraction.output(sources, block, value.shape, -1) for block, value in outputs)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Recurrent layers and cells."""
    for name in CELLS:
        register(f"aten.{name}", lower_layers)
        register(f"aten.{name}_cell", lower_cell)
