"""Groups of interchangeable units: proposed by their signatures, then checked edge by edge.

A unit is a set of vertices that move together: a channel with all that is tied to it, a whole head, a
group of a grouped convolution. The same graph is cut into units in several ways, from the smallest (ties
alone) to the largest (everything that hangs together). Units with equal signatures are proposed as a
group; a group is kept only if every typed edge is mapped onto a typed edge by every permutation of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.symmetry.components import components, degrees, densify, scramble
from wsgraph.symmetry.leaves import Leaves

if TYPE_CHECKING:
    from wsgraph.symmetry.incidence import Incidence

__all__ = ["Group", "find_groups"]


@dataclass(frozen=True, eq=False)
class Group:
    """Units that may be permuted in any way.

    Attributes:
        table: vertices ``[units, width]``; a permutation of the rows is a symmetry.
        level: which cut found it; groups of one level have no vertex in common.
    """

    table: Tensor
    level: int


@dataclass(frozen=True, eq=False)
class _Graph:
    """The graph that is searched, its leaves taken off and its vertices numbered anew."""

    colors: Tensor
    edges: Tensor
    hubs: Tensor
    shares: Tensor
    is_node: Tensor
    is_hub: Tensor


def find_groups(graph: Incidence) -> list[Group]:
    """All groups that the cuts find, each once: smallest units first, in the order of the network."""
    pinned = graph.pinned()
    leaves = Leaves(graph, pinned)
    searched = (~leaves.mask).nonzero().flatten()
    whole = _searched(graph, leaves, pinned, searched)
    if whole is None:
        return []
    seen: set[tuple[int, ...]] = set()
    groups = []
    for level, labels in enumerate(_cuts(whole)):
        for table in sorted(_groups(whole, labels), key=lambda table: int(table.min())):
            key = _key(table)
            if key not in seen:
                seen.add(key)
                groups.append(Group(leaves.added(searched[table]), level))
    return groups


def _searched(graph: Incidence, leaves: Leaves, pinned: Tensor, searched: Tensor) -> _Graph | None:
    """The graph without its leaves; None if nothing moves."""
    number = torch.full((graph.size,), -1)
    number[searched] = torch.arange(len(searched))
    colors = graph.colors()
    leaves.recolor(colors)
    colors = torch.unique(colors[searched], return_inverse=True)[1]
    fixed = pinned[searched].nonzero().flatten()
    colors[fixed] = -1 - fixed
    kept = [(k, link) for k, link in enumerate(graph.links) if k not in leaves.types]
    size = sum(len(link.left) for _, link in kept)
    edges = torch.empty(3, size, dtype=torch.int64)
    hubs, shares = torch.empty(2, size, dtype=torch.bool)
    start = 0
    for k, link in kept:
        part = slice(start, start + len(link.left))
        edges[0, part], edges[1, part], edges[2, part] = k, number[link.left], number[link.right]
        hubs[part], shares[part] = link.hub, link.shares
        start = part.stop
    edges, first = _distinct(edges, len(searched))
    is_node, is_hub = (graph.mask(kind)[searched] for kind in ("nodes", "hub"))
    return _Graph(colors, edges, hubs[first], shares[first], is_node, is_hub) if bool(is_node.any()) else None


def _key(table: Tensor) -> tuple[int, ...]:
    return (*table.shape, int(table.sum()), int(scramble(table.sort(1).values).sum()))


def _distinct(edges: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Every typed edge once, and where it first stood."""
    if not edges.shape[1]:
        return edges, edges[0]
    pair = densify(edges[0], edges[1])
    key = pair * size + edges[2]
    _, inverse = torch.unique(key, return_inverse=True)
    at = torch.arange(len(key))
    first = torch.full((int(inverse.max()) + 1,), len(key)).scatter_reduce(0, inverse, at, "amin")
    return edges[:, first], first


def _cuts(whole: _Graph) -> list[Tensor]:
    """The unit of each vertex ``[size]``, -1 for vertices that are left where they are."""
    _, left, right = whole.edges
    size = len(whole.colors)
    own = _own_color(whole.colors)
    left_degree, right_degree = degrees(whole.edges, size)
    single = (left_degree == 1) & (right_degree == 1)
    several = torch.zeros(size, dtype=torch.bool)
    several[left[left_degree > 1]] = True
    several[right[(right_degree > 1) & ~whole.hubs]] = True
    shared = several & ~whole.is_node & ~whole.is_hub
    met = torch.zeros_like(several)
    met[left[whole.shares & (left_degree > 1)]] = True
    met[right[whole.shares & (right_degree > 1)]] = True
    everything = torch.ones_like(single)
    cuts = [
        (single, torch.zeros_like(own)),
        (single | ~whole.hubs, own),
        (everything, own),
        (everything, own | shared),
        (everything, own | several),
    ]
    if bool(met.any()):
        cuts.append((everything, own | shared | met))
    return [components(size, left, right, use, fixed) for use, fixed in cuts]


def _own_color(colors: Tensor) -> Tensor:
    """Vertices that no other vertex has the colour of."""
    _, inverse, counts = torch.unique(colors, return_inverse=True, return_counts=True)
    single: Tensor = counts[inverse] == 1
    return single


def _groups(whole: _Graph, labels: Tensor) -> list[Tensor]:
    """Groups of units of one cut, as tables ``[units, width]``."""
    members = (labels >= 0).nonzero().flatten()
    order = members[torch.argsort(whole.colors[members], stable=True)]
    order = order[torch.argsort(labels[order], stable=True)]
    unit_of, unit, sizes = torch.unique_consecutive(labels[order], return_inverse=True, return_counts=True)
    starts = sizes.cumsum(0) - sizes
    position = torch.full_like(labels, -1)
    position[order] = torch.arange(len(order)) - starts[unit]
    number = torch.full_like(labels, -1)
    number[order] = unit
    signature = _signatures(whole, number, position, len(unit_of))
    has_nodes = torch.zeros(len(unit_of), dtype=torch.bool)
    has_nodes[unit[whole.is_node[order]]] = True
    live = has_nodes.nonzero().flatten()
    tables = []
    for alike in _alike(densify(sizes[live], signature[live])):
        units = live[alike]
        at = starts[units].unsqueeze(1) + torch.arange(int(sizes[units[0]]))
        tables.append(order[at])
    return _sound(whole, tables)


def _alike(keys: Tensor) -> list[Tensor]:
    """Positions of equal keys, for every key that is there more than once."""
    order = torch.argsort(keys, stable=True)
    _, counts = torch.unique_consecutive(keys[order], return_counts=True)
    ends = counts.cumsum(0)
    several = counts > 1
    bounds = zip((ends - counts)[several].tolist(), ends[several].tolist(), strict=True)
    return [order[start:end] for start, end in bounds]


def _signatures(whole: _Graph, number: Tensor, position: Tensor, units: int) -> Tensor:
    """A hash of each unit's colours and edges, positions inside the unit in place of its own vertices."""
    out = torch.zeros(units, dtype=torch.int64)
    inside = (number >= 0).nonzero().flatten()
    out.index_add_(0, number[inside], scramble(scramble(whole.colors[inside]) + position[inside]))
    kind, left, right = whole.edges
    same = (number[left] == number[right]) & (number[left] >= 0)
    for here, there, side in ((left, right, 1), (right, left, 2)):
        live = number[here] >= 0
        far = torch.where(same, position[there], -1 - there)
        facts = scramble(scramble(kind * 4 + side) + scramble(position[here]) * 3 + scramble(far) * 5)
        out.index_add_(0, number[here[live]], facts[live])
    return out


def _sound(whole: _Graph, tables: list[Tensor]) -> list[Tensor]:
    """The tables all of whose row permutations map colours to colours and typed edges to typed edges."""
    if not tables:
        return []
    size = len(whole.colors)
    group, row, column = (torch.full((size,), -1) for _ in range(3))
    for k, table in enumerate(tables):
        group[table] = k
        row[table] = torch.arange(table.shape[0]).unsqueeze(1)
        column[table] = torch.arange(table.shape[1])
    good = torch.tensor([bool((whole.colors[t] == whole.colors[t[:1]]).all()) for t in tables])
    rows = torch.tensor([t.shape[0] for t in tables])
    kind, left, right = whole.edges
    together = (group[left] == group[right]) & (group[left] >= 0)
    crossing = together & (row[left] != row[right])
    good[group[left[crossing]]] = False
    for here, there, side in ((left, right, 0), (right, left, 1)):
        live = group[here] >= 0
        near, far, types = here[live], there[live], kind[live]
        end = torch.where(together[live], size + column[far], far)
        key = densify(densify(group[near], column[near]), densify(types * 2 + side, end))
        _, inverse, counts = torch.unique(key, return_inverse=True, return_counts=True)
        wrong = counts[inverse] != rows[group[near]]
        good[group[near[wrong]]] = False
    return [t for t, ok in zip(tables, good.tolist(), strict=True) if ok]
