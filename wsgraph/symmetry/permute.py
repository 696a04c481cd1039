"""``wsgraph.permute``: another network with the same function, its neurons in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import StructureError
from wsgraph.events.blocks import ParamView, Pattern
from wsgraph.symmetry.analysis import Analysis, analyse
from wsgraph.symmetry.uses import Use, node_vertices, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wsgraph.events.blocks import EdgeBlock
    from wsgraph.events.stream import EventStream
    from wsgraph.symmetry.search import Group

__all__ = ["draw", "move_weights", "permute"]


def permute(stream: EventStream, seed: int) -> EventStream:
    """The same structure with its weights permuted by a random element of all symmetry groups at once.

    Args:
        stream: a stream with weights.
        seed: seed of the random element.

    Returns:
        A stream whose ``state_dict()``, loaded into the model, computes the same function. Elements are
        moved, never computed with.

    Raises:
        StructureError: the stream has no weights.
    """
    analysis = analyse(stream.structure)
    generator = torch.Generator().manual_seed(seed)
    return stream.bind(move_weights(stream, analysis, draw(analysis, analysis.groups, generator)))


def draw(
    analysis: Analysis, groups: Iterable[Group], generator: torch.Generator, *, cyclic: bool = False
) -> Tensor:
    """A random element of some groups: where each vertex of the coloured graph goes, ``[size]``.

    Args:
        analysis: the symmetries.
        groups: the groups to draw from.
        generator: source of randomness.
        cyclic: draw one cycle through all units of a group. If the units are not all alike, some unit goes
            to where one of another kind was, so that no draw overlooks a group that is too large.
    """
    total = torch.arange(analysis.graph.size)
    by_level: dict[int, list[Group]] = {}
    for group in groups:
        by_level.setdefault(group.level, []).append(group)
    for together in by_level.values():
        step = torch.arange(analysis.graph.size)
        for group in together:
            order = torch.randperm(group.table.shape[0], generator=generator)
            step[group.table[order] if cyclic else group.table] = group.table[
                order.roll(1) if cyclic else order
            ]
        total = step[total]
    return total


def move_weights(stream: EventStream, analysis: Analysis, goes_to: Tensor) -> dict[str, Tensor]:
    """The state dict after neurons were moved.

    Args:
        stream: a stream with weights.
        analysis: its symmetries.
        goes_to: new place of each vertex ``[size]``; must be a symmetry.

    Raises:
        StructureError: the stream has no weights, or tied weights would have to take two values.
    """
    comes_from = torch.argsort(goes_to)
    before = stream.state_dict()
    after = dict(before)
    mover = _Mover(stream, analysis, comes_from)
    for name, views in mover.changes().items():
        after[name] = _written(name, before[name], views, stream.structure.indices)
    after.update(mover.sources())
    for name, spec in stream.structure.tensors.items():
        if spec.tied_to is not None:
            after[name] = after[spec.tied_to]
    return after


class _Mover:
    """New values of views and tensors under a permutation given by where each vertex comes from."""

    def __init__(self, stream: EventStream, analysis: Analysis, comes_from: Tensor) -> None:
        self.stream = stream
        self.structure = stream.structure
        self.graph = analysis.graph
        self.comes_from = comes_from

    def changes(self) -> dict[str, list[tuple[ParamView, Tensor]]]:
        """For each tensor that moves, its views with their new values."""
        out: dict[str, list[tuple[ParamView, Tensor]]] = {}
        for use in uses_of(self.structure, self.graph.node_base):
            if use.view.name not in self.structure.derived and self._moves(use.dst, use.src):
                out.setdefault(use.view.name, []).append((use.view, self._value(use)))
        for edge in self.structure.edges:
            if edge.pattern is Pattern.INDEXED and isinstance(edge.feature, ParamView):
                value = self._pairs(edge, edge.feature)
                if value is not None:
                    out.setdefault(edge.feature.name, []).append((edge.feature, value))
        return out

    def sources(self) -> dict[str, Tensor]:
        """Tensors that derived ones are computed from, moved along their dimensions."""
        direct = {u.view.name for u in uses_of(self.structure, self.graph.node_base)}
        out: dict[str, Tensor] = {}
        weights = self.stream.state_dict()
        for strip in self.graph.strips:
            if strip.kind == "coordinates" and strip.tensor not in {*direct, *self.structure.derived}:
                tensor = out.get(strip.tensor, weights[strip.tensor])
                at = self.comes_from[strip.base : strip.base + strip.size] - strip.base
                out[strip.tensor] = tensor.index_select(strip.dims[0], at)
        return out

    def _moves(self, *vertices: Tensor) -> bool:
        return any(bool((self.comes_from[v] != v).any()) for v in vertices)

    def _value(self, use: Use) -> Tensor:
        value = self.stream.feature(use.view)
        row = _where(use.dst, self.comes_from[use.dst])
        if use.edge is None or not use.src.numel():
            return value[row]
        shape, groups = value.shape, use.groups
        value = value.reshape(len(use.dst), -1, shape[-1])[row]
        src = use.src.reshape(groups, -1)
        old_group = row // (len(use.dst) // groups)
        new_group = torch.arange(len(use.dst)) // (len(use.dst) // groups)
        # All rows of a group come from one group: one order of the columns for each.
        came = torch.zeros(groups, dtype=torch.int64)
        came[new_group] = old_group
        size = len(self.comes_from)
        have = (torch.arange(groups).unsqueeze(1) * size + src).reshape(-1)
        want = (came.unsqueeze(1) * size + self.comes_from[src]).reshape(-1)
        column = _where(have, want).view(groups, -1) % src.shape[1]
        if groups == 1:
            return value[:, column[0]].reshape(shape)
        picked = column[new_group].unsqueeze(-1).expand(-1, -1, shape[-1])
        return value.gather(1, picked).reshape(shape)

    def _pairs(self, edge: EdgeBlock, view: ParamView) -> Tensor | None:
        assert edge.coo is not None
        coo = self.structure.indices[edge.coo].long()
        src = node_vertices(edge.src, self.graph.node_base, self.structure.indices)[coo[0]]
        dst = coo[1] + self.graph.node_base[edge.dst]
        if not self._moves(src, dst):
            return None
        size = len(self.comes_from)
        at = _where(src * size + dst, self.comes_from[src] * size + self.comes_from[dst])
        return self.stream.feature(view)[at]


def _where(have: Tensor, want: Tensor) -> Tensor:
    """Position in ``have`` of each of ``want``."""
    order = torch.argsort(have)
    return order[torch.searchsorted(have[order], want)]


def _written(
    name: str, tensor: Tensor, views: list[tuple[ParamView, Tensor]], indices: Mapping[str, Tensor]
) -> Tensor:
    """The tensor with its views' new values."""
    out = tensor.contiguous().clone()
    for view, value in views:
        out.view(-1)[view.elements(indices).reshape(-1)] = value.reshape(-1)
    for view, value in views if len(views) > 1 else []:
        if not torch.allclose(view.resolve(out, indices), value, rtol=0, atol=0, equal_nan=True):
            raise StructureError(f"{name!r} is tied in a way that the permutation does not respect")
    return out
