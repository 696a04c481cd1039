"""Coordinates that belong to one neuron alone go where it goes: they are taken off before the search.

Most rows and columns of a network's weights are read by one neuron and by nothing else. Such a coordinate
constrains nothing, so the search goes without it; what remains of it is a colour on the neurons that have
one, and a column of the groups that are found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.symmetry.components import scramble

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.symmetry.incidence import Incidence, Link

__all__ = ["Leaves"]


class Leaves:
    """The links of a graph that give each of some neurons a coordinate of its own.

    Args:
        graph: the whole graph.
        pinned: vertices that stay where they are ``[size]`` (bool).

    Attributes:
        types: numbers of these links.
        mask: which vertices are leaves ``[size]`` (bool).
    """

    def __init__(self, graph: Incidence, pinned: Tensor) -> None:
        degree = torch.zeros(graph.size, dtype=torch.int32)
        for link in graph.links:
            for end in (link.left, link.right):
                degree.index_add_(0, end, torch.ones(len(end), dtype=torch.int32))
        coordinate = graph.mask("coordinates")
        self.types: set[int] = set()
        self.mask = torch.zeros(graph.size, dtype=torch.bool)
        self._links: list[Link] = []
        for number, link in enumerate(graph.links):
            free = coordinate[link.right] & (degree[link.right] == 1) & ~pinned[link.right]
            if not link.hub and bool(free.all()) and _distinct(link.left):
                self.types.add(number)
                self.mask[link.right] = True
                self._links.append(link)
        self._first, self._count, self._leaf = self._lists(graph.size)

    def recolor(self, colors: Tensor) -> None:
        """Neurons that have a leaf differ from those that have none."""
        for number, link in zip(sorted(self.types), self._links, strict=True):
            colors[link.left] = scramble(colors[link.left]) + number

    def _lists(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """All leaves, vertex by vertex: where each vertex's begin, how many it has, and the leaves."""
        left = torch.cat([torch.zeros(0, dtype=torch.int64), *(link.left for link in self._links)])
        leaf = torch.cat([torch.zeros(0, dtype=torch.int64), *(link.right for link in self._links)])
        order = torch.argsort(left, stable=True)
        counts = torch.bincount(left, minlength=size)
        return counts.cumsum(0) - counts, counts, leaf[order]

    def added(self, table: Tensor) -> Tensor:
        """Units ``[units, width]`` with their vertices' leaves: all units have as many, in one order."""
        counts = self._count[table[0]]
        columns = torch.arange(table.shape[1]).repeat_interleave(counts)
        ends = counts.cumsum(0)
        within = torch.arange(int(counts.sum())) - (ends - counts).repeat_interleave(counts)
        return torch.cat([table, self._leaf[self._first[table[:, columns]] + within]], 1)


def _distinct(vertices: Tensor) -> bool:
    if bool((vertices.diff() > 0).all()):
        return True
    return len(torch.unique(vertices)) == len(vertices)
