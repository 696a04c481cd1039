"""A model lowered and run, ready for questions about who influences whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import Constant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wsgraph.ir.graph import Op, Value
    from wsgraph.lowering.assemble import Assembled
    from wsgraph.lowering.builder import Edges, Nodes
    from wsgraph.lowering.driver import Lowered
    from wsgraph.testing.double import DoubleRun

__all__ = ["Bench", "is_learned"]


@dataclass(eq=False)
class Bench:
    """What all checks need.

    Attributes:
        lowered: the lowered graph; its states say which neuron each element of a value belongs to.
        assembled: the stream's blocks, with the builder's edges behind each.
        run: the graph's values in float64.
    """

    lowered: Lowered
    assembled: Assembled
    run: DoubleRun
    _by_op: dict[Op, list[Edges]] = field(init=False, default_factory=dict)
    _inputs: dict[Op, dict[Value, Tensor]] = field(init=False, default_factory=dict)
    _owner: Tensor = field(init=False)

    def __post_init__(self) -> None:
        builder = self.lowered.builder
        self._owner = torch.full((builder.num_nodes,), -1, dtype=torch.int64)
        for k, block in enumerate(builder.blocks):
            self._owner[block.ids] = k
        for edges in self.assembled.origin.values():
            if edges.op is not None:
                self._by_op.setdefault(edges.op, []).append(edges)

    def edges_of(self, op: Op) -> list[Edges]:
        """The edge blocks that an operator's lowering made."""
        return self._by_op.get(op, [])

    def activation(self, value: Value) -> Activation | None:
        """What is known of a value, or None if it is no activation."""
        state = self.lowered.states.get(value)
        return state if isinstance(state, Activation) else None

    def activations(self, values: list[Value]) -> Iterator[tuple[Value, Activation]]:
        """Those of some values that are activations."""
        for value in dict.fromkeys(values):
            state = self.activation(value)
            if state is not None:
                yield value, state

    def inputs(self, op: Op) -> Mapping[Value, Tensor]:
        """Generic values for an operator's floating-point activations: noise, so that none is zero."""
        if op not in self._inputs:
            drawn = {}
            for value in dict.fromkeys(op.inputs()):
                active = self.activation(value) is not None or self._is_silent(value)
                if active and value.dtype.is_floating_point:
                    kept = self.run.values[value]
                    drawn[value] = torch.ones_like(kept) if op.key in _EQUALITIES else self.run.noise(kept)
                elif active and value.dtype is torch.bool and op.key == "aten.mul":
                    # A mask that lets everything through.
                    drawn[value] = torch.ones_like(self.run.values[value])
            self._inputs[op] = {**_in_domain(op, drawn), **self._dealt(op)}
        return self._inputs[op]

    def _is_silent(self, value: Value) -> bool:
        """A constant of zeros: with it as a layer's input, no weight of the layer would show."""
        if not isinstance(self.lowered.states.get(value), Constant):
            return False
        data = self.run.values.get(value)
        return isinstance(data, Tensor) and bool(data.numel()) and not bool(data.any())

    def without_extremes(self, op: Op) -> dict[Value, Tensor]:
        """Constants with zeros for numbers that swallow what is added to them: 1e38 for "nothing yet"."""
        found = {}
        for value in op.inputs():
            data = self.run.values.get(value) if self.activation(value) is None else None
            if isinstance(data, Tensor) and data.is_floating_point() and bool((data.abs() > _EXTREME).any()):
                found[value] = data.masked_fill(data.abs() > _EXTREME, 0.0)
        return found

    def _dealt(self, op: Op) -> dict[Value, Tensor]:
        """Rows dealt out to experts in equal parts, as the lowering does where the router decides."""
        if op.key not in _EXPERTS:
            return {}
        x, weight, *ends = op.inputs()
        if not ends or self.activation(ends[0]) is None:
            return {}
        rows, experts = x.shape[0], weight.shape[0]
        counts = torch.bincount(torch.arange(rows) * experts // rows, minlength=experts)
        return {ends[0]: counts.cumsum(0).to(ends[0].dtype)}

    def moved(self, op: Op, masks: Mapping[Value, Tensor], size: float | None = None) -> dict[Value, Tensor]:
        """The generic inputs with the masked elements drawn anew, about ``size`` large if that is given."""
        inputs = self.inputs(op)
        fresh = {}
        for value, mask in masks.items():
            noise = self.run.noise(inputs[value])
            noise = noise if size is None else (noise.abs() + 1) * size
            fresh[value] = torch.where(mask, noise, inputs[value])
        return {**inputs, **_in_domain(op, fresh)}

    def targets(self, op: Op, nodes: set[int]) -> list[Tensor]:
        """For each result of an operator, a mask of the elements that belong to any of the nodes."""
        masks, wanted = [], torch.tensor(sorted(nodes))
        for value in op.outputs:
            state = self.activation(value)
            mask = torch.zeros(value.shape, dtype=torch.bool)
            for axis in state.nodes if state is not None else ():
                mask |= torch.isin(axis.small(), wanted)
            masks.append(mask)
        return masks

    def reached(self, op: Op | None, node: int) -> set[int]:
        """The node and all that follow from it along edges of one operator, or of all for None."""
        reached = torch.zeros(len(self._owner), dtype=torch.bool)
        reached[node] = True
        count = 0
        while count < int(reached.sum()):
            count = int(reached.sum())
            # Edge blocks come in topological order, so one pass finds everything but the next step's.
            for edges in self.assembled.origin.values() if op is None else self.edges_of(op):
                live = reached[edges.src]
                if bool(live.any()):
                    reached[_successors(edges, live)] = True
            for result, state in self.lowered.builder.recurrences:
                reached[state[reached[result]]] = True
        return set(reached.nonzero().flatten().tolist())

    def recurs(self, op: Op) -> bool:
        """Whether an operator's results go into its next step."""
        states = {int(state[0]) for _, state in self.lowered.builder.recurrences}
        return any(int(edges.src[0]) in states for edges in self.edges_of(op))

    def holders(self, name: str) -> list[Value]:
        """The IR values that hold a tensor: the tensor itself or a derived one, and those tied to it."""
        graph = self.lowered.graph
        derived = self.lowered.deriver.values.get(name)
        tied = [graph.tensors[alias] for alias, canonical in graph.ties.items() if canonical == name]
        return [graph.tensors[name] if derived is None else derived, *tied]

    def overwritten(self, name: str, elements: Tensor, value: float) -> dict[Value, Tensor]:
        """A tensor with some of its elements set to ``value``, for each IR value that holds it."""
        holders = self.holders(name)
        changed = self.run.values[holders[0]].contiguous().clone()
        changed.view(-1)[elements] = value
        return dict.fromkeys(holders, changed)

    def is_zero(self, name: str, elements: Tensor) -> bool:
        """Whether elements of a tensor are zero whatever the parameters are: a mask's."""
        value = self.run.values[self.holders(name)[0]]
        return not bool(value.contiguous().view(-1)[elements].any())

    def readers(self, name: str) -> list[Op]:
        """Operators between activations that take a tensor, or something computed from it, as a weight."""
        holders = set(self.holders(name))
        return [
            op
            for op in self.lowered.graph.ops
            if any(self.activation(v) for v in op.outputs)
            and any(self.run.upstream(v) & holders for v in op.inputs())
        ]

    def block_of(self, node: int) -> Nodes:
        """The builder's block that a global node number belongs to."""
        return self.lowered.builder.blocks[int(self._owner[node])]


_EXPERTS = frozenset({"aten._grouped_mm", "transformers.grouped_mm_fallback"})

_EXTREME = 1e30

_NEGATIVE = frozenset({"aten.prelu"})
"""A slope acts on what is negative only."""

_EQUALITIES = frozenset({"aten.eq", "aten.ne"})
"""Between random numbers they never turn round; what they compare is made equal."""


def _in_domain(op: Op, inputs: dict[Value, Tensor]) -> dict[Value, Tensor]:
    return {v: -t.abs() for v, t in inputs.items()} if op.key in _NEGATIVE else inputs


def _successors(edges: Edges, live: Tensor) -> Tensor:
    """Global numbers of the nodes that an edge block leads to from the sources marked ``[n_src]``."""
    ids = edges.dst.ids
    match edges.pattern.value:
        case "dense":
            return ids
        case "one_to_one":
            return ids[live]
        case "grouped":
            groups = live.view(edges.shape[0], -1).any(1)
            return ids.view(edges.shape[0], -1)[groups].flatten()
    assert edges.coo is not None
    return ids[edges.coo[1][live[edges.coo[0]]]]


def is_learned(edges: Edges, *tags: str) -> bool:
    """Whether an edge block's feature is learned, with one of the tags if any are given."""
    feature: Any = edges.feature
    return isinstance(feature, Learned) and (not tags or feature.tag in tags)
