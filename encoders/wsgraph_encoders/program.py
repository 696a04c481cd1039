"""What encoding an architecture takes, resolved once from its structure.

A program is the topological list of node blocks, each with its incoming edge blocks and with the blocks
whose memories nobody reads after it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned, NodeView, Pattern
from wsgraph_encoders.messages.untraced import untraced
from wsgraph_encoders.messages.wiring import DenseWiring, PairWiring, wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsgraph.events.blocks import EdgeBlock, NodeBlock
    from wsgraph.events.structure import Structure
    from wsgraph_encoders.messages.wiring import Wiring

__all__ = [
    "EDGE_KINDS",
    "EdgeKind",
    "Link",
    "Program",
    "Step",
    "gather_sources",
    "place",
    "program_of",
]

EdgeKind: TypeAlias = Literal["mixing", "parallel", "pointwise", "learned"]
"""What ``per_kind`` parameters are kept for. The set is closed, so that any stream can be encoded."""

EDGE_KINDS: tuple[EdgeKind, ...] = ("parallel", "mixing", "pointwise", "learned")
"""All kinds, the weightiest first."""

_STATISTICS = ("running_mean", "running_var")

_SMALL = 1 << 16
"""Edges in a block up to which fewer calls are worth a copy of its weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """An edge block on its way into a node block.

    Attributes:
        edge: the block.
        wiring: who sends to whom.
        kind: ``learned`` for learned features, ``parallel`` for m > 1, ``pointwise`` for one to one with
            m = 1 and for edges into a normalisation with stored statistics, ``mixing`` for the rest.
        index: positions of a gathered node view, ``[n_src]``, or None.
    """

    edge: EdgeBlock
    wiring: Wiring
    kind: EdgeKind
    index: Tensor | None

    @property
    def view(self) -> NodeView:
        """The source nodes."""
        return self.edge.src

    @property
    def multiplicity(self) -> int:
        """Parallel edges a pair; 1 for learned edges, which all have the same feature."""
        return 1 if self.kind == "learned" else self.edge.multiplicity

    @property
    def one_to_one(self) -> bool:
        """Whether each destination has one edge with a weight, from the source that stands where it does."""
        return self.kind == "pointwise" and isinstance(self.wiring, PairWiring) and self.wiring.aligned

    @property
    def mixes(self) -> bool:
        """Whether the weights mix neurons, as a layer's do."""
        return self.kind in ("mixing", "parallel")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One node block and what goes into it.

    Attributes:
        node: the block.
        links: its incoming edge blocks; none for a block whose memories are learned.
        dead: ids of blocks that are read for the last time here.
    """

    node: NodeBlock
    links: tuple[Link, ...]
    dead: tuple[int, ...]

    @property
    def kind(self) -> EdgeKind:
        """The weightiest kind among the links; ``mixing`` where there are none."""
        kinds = {link.kind for link in self.links}
        return next((kind for kind in EDGE_KINDS if kind in kinds), "mixing")

    @property
    def has_statistics(self) -> bool:
        """Whether the block is a normalisation with stored statistics."""
        return "running_var" in self.node.features

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the nodes' features as encoders see them: statistics are folded into the shift."""
        names = {name for name in self.node.features if name not in _STATISTICS}
        return tuple(sorted(names | ({"bias"} if self.has_statistics else set())))


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The steps of an architecture.

    Attributes:
        steps: one a node block, in topological order.
        outputs: ids of the output blocks: those of role ``output``, or else those that nothing reads.
        activation: the first activation in the network, or the empty string.
        bundles: the steps, with those together that can be one: the projections to q, k and v.
    """

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    activation: str
    bundles: tuple[tuple[Step, ...], ...]

    @property
    def sources(self) -> tuple[Step, ...]:
        """The steps without links."""
        return tuple(step for step in self.steps if not step.links)


def program_of(structure: Structure) -> Program:
    """The program of a structure; structures of one fingerprint share theirs."""
    return _cached(_Key(structure))


def place(program: Program, device: torch.device) -> Program:
    """The program with its index tensors on a device, copied once."""
    return program if device.type == "cpu" else _place(program, device)


@untraced
@lru_cache(maxsize=256)
def _place(program: Program, device: torch.device) -> Program:
    placed = {step.node.id: _placed(step, device) for step in program.steps}
    bundles = tuple(tuple(placed[step.node.id] for step in steps) for steps in program.bundles)
    return replace(program, steps=tuple(placed.values()), bundles=bundles)


def _placed(step: Step, device: torch.device) -> Step:
    links = tuple(
        replace(
            link,
            wiring=link.wiring.to(device),
            index=None if link.index is None else link.index.to(device),
        )
        for link in step.links
    )
    return replace(step, links=links)


class _Key:
    """A structure that equals others by its fingerprint."""

    __slots__ = ("structure",)

    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    def __hash__(self) -> int:
        return hash(self.structure.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.structure.fingerprint == self.structure.fingerprint


@lru_cache(maxsize=256)
def _cached(key: _Key) -> Program:
    structure = key.structure
    position = {node.id: i for i, node in enumerate(structure.nodes)}
    incoming: dict[int, list[Link]] = defaultdict(list)
    read_last: dict[int, int] = {}
    for edge in structure.edges:
        incoming[edge.dst].append(_link(edge, structure))
        for part in edge.src.parts:
            read_last[part.block] = max(read_last.get(part.block, -1), position[edge.dst])
    outputs = tuple(n.id for n in structure.nodes if n.attrs.get("role") == "output")
    outputs = outputs or tuple(n.id for n in structure.nodes if n.id not in read_last)
    dead: dict[int, list[int]] = defaultdict(list)
    for block, last in read_last.items():
        if block not in outputs:
            dead[last].append(block)
    steps = tuple(Step(n, tuple(incoming[n.id]), tuple(dead[i])) for i, n in enumerate(structure.nodes))
    return Program(steps, outputs, _first_activation(structure), _bundles(steps))


def _link(edge: EdgeBlock, structure: Structure) -> Link:
    node = structure.node_by_id[edge.dst]
    wiring = wire(edge, node.size, structure.indices)
    index = None if edge.src.index is None else structure.indices[edge.src.index].long()
    return Link(edge, wiring, _kind(edge, "running_var" in node.features), index)


def _kind(edge: EdgeBlock, normalises: bool) -> EdgeKind:
    if normalises and edge.multiplicity == 1 and edge.pattern in (Pattern.ONE_TO_ONE, Pattern.INDEXED):
        return "pointwise"
    if isinstance(edge.feature, Learned):
        return "learned"
    if edge.multiplicity > 1:
        return "parallel"
    return "pointwise" if edge.pattern is Pattern.ONE_TO_ONE else "mixing"


def _bundles(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], ...]:
    bundles: list[list[Step]] = []
    for step in steps:
        if bundles and _alike(bundles[-1][0], step):
            bundles[-1].append(step)
        else:
            bundles.append([step])
    return tuple(tuple(bundle) for bundle in bundles)


def _alike(one: Step, other: Step) -> bool:
    """Whether two steps read the same nodes in the same way, so that their weights can be stacked."""
    return (
        0 < len(one.links) == len(other.links)
        and one.node.t == other.node.t
        and one.node.attrs.get("activation") == other.node.attrs.get("activation")
        and one.node.features.keys() == other.node.features.keys()
        and not one.has_statistics
        and all(_stackable(a, b) for a, b in zip(one.links, other.links, strict=True))
    )


def _stackable(one: Link, other: Link) -> bool:
    return (
        isinstance(one.wiring, DenseWiring)
        and isinstance(other.wiring, DenseWiring)
        and one.wiring.groups == other.wiring.groups == 1
        and one.mixes
        and one.kind == other.kind
        and one.edge.src == other.edge.src
        and one.multiplicity == other.multiplicity
        and max(one.edge.num_edges, other.edge.num_edges) <= _SMALL
    )


def _first_activation(structure: Structure) -> str:
    for node in structure.nodes:
        names = node.attrs.get("activation", ())
        if isinstance(names, tuple) and names:
            return str(names[0])
    return ""


def gather_sources(link: Link, memories: Mapping[int, Tensor]) -> Tensor:
    """The memories of an edge block's sources, ``[batch or 1, n_src, hidden]``."""
    parts: Sequence[Tensor] = [memories[p.block][:, p.start : p.stop] for p in link.view.parts]
    if len(parts) > 1:
        batch = max(len(part) for part in parts)
        joined = torch.cat([part.expand(batch, -1, -1) for part in parts], 1)
    else:
        joined = parts[0]
    return joined if link.index is None else joined.index_select(1, link.index.to(joined.device))
