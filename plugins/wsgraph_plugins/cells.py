"""One step of a recurrent layer: gates as node blocks, products one to one (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from wsgraph.events.blocks import Learned, Pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsgraph.lowering.builder import Nodes
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.provenance.params import ParamValue

__all__ = ["CELLS", "Feed", "Step", "Weights"]

Feed: TypeAlias = Callable[["Nodes", "ParamValue"], None]
"""Adds the edges from a layer's input to a block of gates, given their weight ``[n, n_in]``."""


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """The parameters of one layer in one direction; the gates' rows lie below one another.

    Attributes:
        inputs: ``[gates * hidden, n_in]``.
        recurrent: ``[gates * hidden, state]``.
        bias: ``[gates * hidden]`` of the input's side, or None.
        recurrent_bias: ``[gates * hidden]`` of the state's side, or None.
        projection: ``[state, hidden]`` for an LSTM with projections, or None.
    """

    inputs: ParamValue
    recurrent: ParamValue
    bias: ParamValue | None = None
    recurrent_bias: ParamValue | None = None
    projection: ParamValue | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """A step of a layer in one direction.

    Attributes:
        graph: the graph.
        feed: the edges from the layer's input.
        weights: the layer's parameters.
        hidden: neurons of the previous step's result ``[state]``.
        cell: neurons of the previous step's memory ``[hidden]``; LSTM only.
    """

    graph: LoweringGraph
    feed: Feed
    weights: Weights
    hidden: Tensor
    cell: Tensor | None = None

    def gate(self, position: int, size: int, activation: str, role: str = "gate") -> Nodes:
        """A block that reads input and state: rows ``position * size`` onwards of the weights."""
        w = self.weights
        own, recurrent = rows(w.bias, position, size), rows(w.recurrent_bias, position, size)
        block = self.graph.add_nodes(
            size, role=role, bias=own, features={"recurrent_bias": recurrent}, activation=(activation,)
        )
        self.feed(block, required_rows(w.inputs, position, size))
        self.recur(block, position, size)
        return block

    def recur(self, block: Nodes, position: int, size: int) -> None:
        """Edges from the state to a block of gates."""
        connect(self.graph, self.hidden, block, required_rows(self.weights.recurrent, position, size))

    def product(self, sources: Sequence[Tensor], size: int, role: str, activation: str = "") -> Nodes:
        """A block whose nodes multiply (and add up) one neuron of each source."""
        names = (activation,) if activation else ()
        block = self.graph.add_nodes(size, role=role, activation=names)
        for ids in sources:
            self.graph.one_to_one(ids, block, Learned("gate"))
        return block


def rows(p: ParamValue | None, position: int, size: int) -> ParamValue | None:
    """The rows of one gate, or None for parameters that are not there."""
    return None if p is None else required_rows(p, position, size)


def required_rows(p: ParamValue, position: int, size: int) -> ParamValue:
    """The rows of one gate."""
    return p.apply(lambda t: t.narrow(0, position * size, size))


def connect(graph: LoweringGraph, src: Tensor, dst: Nodes, weight: ParamValue) -> None:
    """+E dense: ``weight`` is ``[n_dst, n_src]``."""
    feature = weight.apply(lambda t: t.unsqueeze(-1))
    graph.add_edge_block(src, dst, feature, Pattern.DENSE, feature.shape)


def simple(step: Step, activation: str) -> tuple[Nodes, Nodes | None]:
    """``h' = act(W x + b + U h + c)``."""
    return step.gate(0, step.weights.inputs.shape[0], activation, role="hidden"), None


def lstm(step: Step) -> tuple[Nodes, Nodes | None]:
    """``c' = f * c + i * g``, ``h' = o * tanh(c')``, projected where the layer has projections."""
    assert step.cell is not None
    size = step.weights.inputs.shape[0] // 4
    names = ("sigmoid", "sigmoid", "tanh", "sigmoid")
    i, f, g, o = (step.gate(k, size, name) for k, name in enumerate(names))
    cell = step.product([f.ids, step.cell, i.ids, g.ids], size, "cell", "tanh")
    projection = step.weights.projection
    hidden = step.product([o.ids, cell.ids], size, "hidden" if projection is None else "product")
    if projection is not None:
        product, hidden = hidden, step.graph.add_nodes(projection.shape[0])
        connect(step.graph, product.ids, hidden, projection)
    return hidden, cell


def gru(step: Step) -> tuple[Nodes, Nodes | None]:
    """``n = tanh(W x + b + r * (U h + c))``, ``h' = (1 - z) * n + z * h``."""
    w, graph = step.weights, step.graph
    size = w.inputs.shape[0] // 3
    r, z = step.gate(0, size, "sigmoid"), step.gate(1, size, "sigmoid")
    recalled = graph.add_nodes(
        size, role="gate", features={"recurrent_bias": rows(w.recurrent_bias, 2, size)}
    )
    step.recur(recalled, 2, size)
    new = graph.add_nodes(size, role="gate", bias=rows(w.bias, 2, size), activation=("tanh",))
    step.feed(new, required_rows(w.inputs, 2, size))
    for ids in (r.ids, recalled.ids):
        graph.one_to_one(ids, new, Learned("gate"))
    return step.product([z.ids, new.ids, step.hidden], size, "hidden"), None


CELLS: dict[str, Callable[[Step], tuple[Nodes, Nodes | None]]] = {
    "rnn_tanh": lambda step: simple(step, "tanh"),
    "rnn_relu": lambda step: simple(step, "relu"),
    "lstm": lstm,
    "gru": gru,
}
"""From a step to its new hidden state and, for an LSTM, its new memory."""
