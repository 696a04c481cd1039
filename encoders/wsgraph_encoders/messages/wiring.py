"""Who sends to whom in an edge block, resolved from its pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from wsgraph.events.blocks import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.blocks import EdgeBlock

__all__ = ["DenseWiring", "PairWiring", "Wiring", "split_dim", "wire"]

_SMALL_GROUP = 4
"""Pairs in a group up to which a list of pairs is cheaper than a matrix product a group."""


def split_dim(x: Tensor, dim: int, *sizes: int) -> Tensor:
    """``x.unflatten(dim, sizes)``, which torch leaves without types."""
    parts: Tensor = x.unflatten(dim, sizes)  # type: ignore[no-untyped-call]  # torch's
    return parts


@dataclass(frozen=True, slots=True, eq=False)
class DenseWiring:
    """All to all inside each of ``groups`` consecutive groups.

    Attributes:
        groups: number of groups.
        n_dst: destinations in a group.
        n_src: sources in a group.
    """

    groups: int
    n_dst: int
    n_src: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The pairs' layout, ``[groups, n_dst, n_src]``."""
        return (self.groups, self.n_dst, self.n_src)

    @property
    def total_dst(self) -> int:
        """Number of destinations in all groups."""
        return self.groups * self.n_dst

    def to(self, device: torch.device) -> DenseWiring:  # noqa: ARG002  it has no tensors
        """Itself."""
        return self

    def in_degree(self, like: Tensor) -> Tensor:
        """Number of sources of each destination, ``[total_dst, 1]``, in the dtype of ``like``."""
        return like.new_full((self.total_dst, 1), self.n_src)

    def sums(self, x: Tensor) -> tuple[Tensor, int]:
        """The sum over each group's sources, ``[batch, n, c]`` to ``[batch, groups, c]``; their number."""
        return split_dim(x, 1, self.groups, self.n_src).sum(2), self.n_src

    def spread(self, sums: Tensor) -> Tensor:
        """From groups to their destinations: ``[batch, groups, c]`` to ``[batch, total_dst, c]``."""
        return sums.unsqueeze(2).expand(-1, -1, self.n_dst, -1).flatten(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class PairWiring:
    """A list of pairs.

    Attributes:
        total_dst: number of destinations.
        src: position of each pair's source in the block's node view, ``[pairs]``.
        dst: position of each pair's destination, ``[pairs]``.
    """

    total_dst: int
    src: Tensor
    dst: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """The pairs' layout, ``[pairs]``."""
        return (len(self.src),)

    def to(self, device: torch.device) -> PairWiring:
        """With the lists on a device."""
        src = self.src.to(device)
        return PairWiring(self.total_dst, src, src if self.aligned else self.dst.to(device))

    def in_degree(self, like: Tensor) -> Tensor:
        """Number of sources of each destination, ``[total_dst, 1]``, in the dtype of ``like``."""
        counts = like.new_zeros(self.total_dst, 1)
        return counts.index_add(0, self.dst.to(like.device), like.new_ones(len(self.dst), 1))

    def sums(self, x: Tensor) -> tuple[Tensor, Tensor | int]:
        """The sum over each destination's sources, ``[batch, total_dst, c]``, and their numbers."""
        if self.aligned:
            return x, 1
        out = x.new_zeros(len(x), self.total_dst, x.shape[-1])
        rows = x.index_select(1, self.src.to(x.device))
        return out.index_add(1, self.dst.to(x.device), rows), self.in_degree(x)

    def spread(self, sums: Tensor) -> Tensor:
        """The sums themselves: each is one destination's."""
        return sums

    @property
    def aligned(self) -> bool:
        """Whether pair i goes from source i to destination i; one tensor for both ends says so."""
        return self.src is self.dst


Wiring: TypeAlias = DenseWiring | PairWiring


def wire(edge: EdgeBlock, n_dst: int, indices: Mapping[str, Tensor]) -> Wiring:
    """The wiring of an edge block.

    Args:
        edge: the block.
        n_dst: size of its destination block.
        indices: the structure's index tensors.

    Returns:
        A wiring whose ``shape`` has as many pairs as the block, in the same order.
    """
    match edge.pattern:
        case Pattern.DENSE:
            return DenseWiring(1, *edge.shape[:2])
        case Pattern.GROUPED:
            groups, per_dst, per_src, _ = edge.shape
            if per_dst * per_src <= _SMALL_GROUP:
                return _group_pairs(groups, per_dst, per_src)
            return DenseWiring(groups, per_dst, per_src)
        case Pattern.ONE_TO_ONE:
            every = torch.arange(n_dst)
            return PairWiring(n_dst, every, every)
        case Pattern.INDEXED:
            assert edge.coo is not None
            src, dst = indices[edge.coo].long()
            return PairWiring(n_dst, src, dst)


def _group_pairs(groups: int, per_dst: int, per_src: int) -> PairWiring:
    """Tiny groups (a depthwise convolution's) as a list of pairs, in the grouped feature's order."""
    group = torch.arange(groups).view(-1, 1, 1)
    shape = (groups, per_dst, per_src)
    dst = (group * per_dst + torch.arange(per_dst).view(1, -1, 1)).expand(shape)
    src = (group * per_src + torch.arange(per_src).view(1, 1, -1)).expand(shape)
    return PairWiring(groups * per_dst, src.reshape(-1), dst.reshape(-1))
