"""``wsgraph.symmetries``: the permutations of neurons that leave a network's function unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.symmetry.build import build_incidence
from wsgraph.symmetry.model import Member, Symmetry
from wsgraph.symmetry.search import Group, find_groups
from wsgraph.torch_mode import compiling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsgraph.events.stream import EventStream
    from wsgraph.events.structure import Structure
    from wsgraph.symmetry.incidence import Incidence, Strip

__all__ = ["Analysis", "analyse", "symmetries"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """The coloured graph of a structure, and the groups found in it."""

    structure: Structure
    graph: Incidence
    groups: tuple[Group, ...]

    def describe(self, group: Group) -> Symmetry:
        """A group in terms of blocks and parameters."""
        nodes, members = self._nodes(group.table), tuple(self._members(group.table))
        blocks = [self.structure.node_by_id[block] for block in nodes]
        scopes = dict.fromkeys(str(b.attrs["scope"]) for b in blocks if b.attrs.get("scope"))
        hubs = any(strip.kind == "hub" for strip, _ in self._columns(group.table))
        grouped = hubs and max(at.shape[1] for at in nodes.values()) > 1
        kind = _kind({str(b.attrs.get("role")) for b in blocks}, grouped=grouped)
        return Symmetry(group.table.shape[0], kind, members, nodes, tuple(scopes))

    @cached_property
    def _bases(self) -> Tensor:
        return torch.tensor([s.base for s in self.graph.strips])

    @cached_property
    def _blocks(self) -> dict[int, int]:
        return {base: block for block, base in self.graph.node_base.items()}

    def _columns(self, table: Tensor) -> Iterator[tuple[Strip, Tensor]]:
        """The parts of a table that lie in each strip of vertices; all rows are alike in that."""
        strip_of = torch.bucketize(table[0], self._bases, right=True) - 1
        for number in torch.unique(strip_of).tolist():
            strip = self.graph.strips[number]
            yield strip, table[:, strip_of == number] - strip.base

    def _nodes(self, table: Tensor) -> dict[int, Tensor]:
        return {self._blocks[s.base]: at for s, at in self._columns(table) if s.kind == "nodes"}

    def _members(self, table: Tensor) -> Iterator[Member]:
        for strip, at in self._columns(table):
            if strip.kind == "coordinates" and strip.tensor not in self.structure.derived:
                yield from self._of_strip(strip, at)

    def _of_strip(self, strip: Strip, at: Tensor) -> Iterator[Member]:
        if strip.parts == 1:
            for dim, position in zip(strip.dims, _unravel(at, strip.sizes), strict=True):
                if bool((position != position[:1]).any()):
                    yield Member(strip.tensor, dim, position)
            return
        count = strip.size // strip.parts
        part = at // count
        rows = self.structure.tensors[strip.tensor].shape[0] // strip.parts
        if bool((part == part[0, 0]).all()):
            start = int(part[0, 0]) * rows
            yield Member(strip.tensor, strip.dims[0], at % count, (0, start, start + rows))


def _unravel(at: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    out = []
    for size in reversed(sizes):
        out.append(at % size)
        at = at // size
    return out[::-1]


def _kind(roles: set[str], *, grouped: bool) -> str:
    """What the units are, by the roles of their nodes; units that contain groups are larger than neurons."""
    if not roles & {"q", "k", "v", "z", "logits"}:
        return "groups" if grouped else "neurons"
    if grouped or "logits" in roles:
        return "heads"
    return "query_key" if roles & {"q", "k"} else "value"


def analyse(structure: Structure) -> Analysis:
    """The symmetries of a structure, in the form that :func:`wsgraph.permute` needs."""
    with compiling():
        graph = build_incidence(structure)
        return Analysis(structure, graph, tuple(find_groups(graph)))


def symmetries(stream: EventStream) -> list[Symmetry]:
    """The groups of neurons that may be permuted together without changing the function.

    Derived from the stream's structure alone, so a stream without weights will do. Sound first: a group is
    claimed only if permuting its units is certain to change nothing; what is not understood is pinned.

    Args:
        stream: a compiled or loaded stream.

    Returns:
        The groups: first those of single neurons, then larger units (heads, groups of a convolution) that
        contain them. Every combination of permutations of the groups is a symmetry.

    Raises:
        StructureError: the structure's notes on its neurons are malformed.
    """
    from wsgraph.symmetry.scale import scale_symmetries

    analysis = analyse(stream.structure)
    found = [analysis.describe(group) for group in analysis.groups]
    return [*found, *scale_symmetries(analysis)]
