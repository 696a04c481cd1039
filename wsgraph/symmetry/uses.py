"""Every place where a block reads a tensor, with the neurons that its rows and columns belong to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import ParamView, Pattern
from wsgraph.symmetry.factor import Factored, factor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wsgraph.events.blocks import EdgeBlock, NodeView
    from wsgraph.events.structure import Structure

__all__ = ["Use", "indexed_names", "node_vertices", "uses_of"]

_ROLES: dict[Pattern, dict[str, tuple[int, ...]]] = {
    Pattern.DENSE: {"dst": (0,), "src": (1,), "m": (2,)},
    Pattern.GROUPED: {"dst": (0, 1), "src": (2,), "m": (3,)},
    Pattern.ONE_TO_ONE: {"dst": (0,), "m": (1,)},
}


@dataclass(eq=False)
class Use:
    """One view of a tensor.

    Attributes:
        view: the view.
        dst: vertices of the nodes along its destinations ``[n_dst]``.
        src: vertices of its sources ``[n_src]``; for a grouped block ``[groups, n_src / groups]``; empty for
            a node feature or one-to-one edges.
        edge: the edge block; None for a node feature.
        groups: groups of a grouped block, else 1.
        factored: how the view runs through its tensor, or None.
    """

    view: ParamView
    dst: Tensor
    src: Tensor
    edge: EdgeBlock | None
    groups: int
    factored: Factored | None

    @property
    def shared(self) -> bool:
        """Whether the groups of a grouped block share their weights."""
        return self.groups > 1 and self._weights_of_groups == 1

    @property
    def apart(self) -> bool:
        """Whether each group has weights of its own."""
        return self._weights_of_groups == self.groups

    @cached_property
    def _weights_of_groups(self) -> int:
        """How many of the groups start at elements of their own."""
        if self.factored is None:
            return 0
        rows = self.factored.steps["dst"]
        return len(torch.unique(rows[:: len(rows) // self.groups], dim=0))

    @property
    def repeats(self) -> bool:
        """Whether a node stands twice among the sources of one group."""
        rows = self.src.reshape(self.groups, -1).sort(1).values
        return bool((rows.diff(dim=1) == 0).any())


def node_vertices(view: NodeView, base: Mapping[int, int], indices: Mapping[str, Tensor]) -> Tensor:
    """Vertices of the nodes of a view ``[size]``."""
    parts = [torch.arange(p.start, p.stop) + base[p.block] for p in view.parts]
    ids = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)
    return ids if view.index is None else ids[indices[view.index].long()]


def indexed_names(structure: Structure) -> list[str]:
    """The tensors that indexed edges read, once a block."""
    features = [e.feature for e in structure.edges if e.pattern is Pattern.INDEXED]
    return [f.name for f in features if isinstance(f, ParamView)]


def uses_of(structure: Structure, base: Mapping[int, int]) -> Iterator[Use]:
    """All uses of parameters, buffers and derived tensors, but for indexed edges.

    Args:
        structure: the structure.
        base: first vertex of each node block.
    """
    for node in structure.nodes:
        ids = torch.arange(node.size) + base[node.id]
        for view in node.features.values():
            found = _factor(structure, view, {"dst": (0,)})
            yield Use(view, ids, ids[:0], None, 1, found)
    for edge in structure.edges:
        if not isinstance(edge.feature, ParamView) or edge.pattern is Pattern.INDEXED:
            continue
        dst = torch.arange(structure.node_by_id[edge.dst].size) + base[edge.dst]
        src = node_vertices(edge.src, base, structure.indices)
        groups = edge.shape[0] if edge.pattern is Pattern.GROUPED else 1
        if edge.pattern is Pattern.ONE_TO_ONE:
            src = src[:0]
        found = _factor(structure, edge.feature, _ROLES[edge.pattern])
        yield Use(edge.feature, dst, src, edge, groups, found)


def _factor(structure: Structure, view: ParamView, roles: Mapping[str, tuple[int, ...]]) -> Factored | None:
    derived = structure.derived.get(view.name)
    shape = derived.shape if derived is not None else structure.tensors[view.name].shape
    return factor(view, shape, roles, structure.indices)
