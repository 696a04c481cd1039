"""What is no element of a symmetry group: it must show in the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from wsgraph.symmetry.model import Member, Symmetry

__all__ = ["Move", "crossing", "one_sided"]


class Move(NamedTuple):
    """Another order along one dimension of one tensor, with everything tied to it left in place.

    Attributes:
        parameter: the tensor's name.
        dimension: which of its dimensions.
        moved: positions that change ``[k]``.
        sources: the position that each of them takes its elements from ``[k]``.
        within: (dimension, start, stop): only this part of the tensor is moved; None for all of it.
    """

    parameter: str
    dimension: int
    moved: Tensor
    sources: Tensor
    within: tuple[int, int, int] | None

    def applied(self, tensor: Tensor) -> Tensor:
        """The tensor in the other order."""
        return self._changed(tensor, tensor.index_select(self.dimension, self.sources))

    def disturbed(self, tensor: Tensor, generator: torch.Generator) -> Tensor:
        """The tensor with every moved position multiplied by a factor of its own."""
        factors = torch.rand(len(self.moved), generator=generator, dtype=torch.float64) + 0.5
        along = [-1 if d == self.dimension else 1 for d in range(tensor.dim())]
        own = tensor.index_select(self.dimension, self.moved)
        return self._changed(tensor, (own * factors.view(along)).to(tensor.dtype))

    def _changed(self, tensor: Tensor, rows: Tensor) -> Tensor:
        full = tensor.index_copy(self.dimension, self.moved, rows)
        if self.within is None:
            return full
        dim, start, stop = self.within
        out = tensor.clone()
        out.narrow(dim, start, stop - start).copy_(full.narrow(dim, start, stop - start))
        return out


def one_sided(member: Member) -> Move:
    """The units of a group rotated by one in one of its tensors."""
    positions = member.positions
    return _move(member, positions.reshape(-1), positions.roll(1, 0).reshape(-1))


def crossing(symmetries: Sequence[Symmetry]) -> Iterator[Move]:
    """Units of two different groups exchanged, where a tensor has both along one dimension."""
    seen: dict[tuple[object, ...], Member] = {}
    for symmetry in symmetries:
        for member in symmetry.members:
            key = (member.parameter, member.dimension, member.within, member.positions.shape[1])
            first = seen.setdefault(key, member)
            a, b = first.positions[0], member.positions[0]
            if first is not member and not bool(torch.isin(b, first.positions).any()):
                yield _move(member, torch.cat([a, b]), torch.cat([b, a]))


def _move(member: Member, moved: Tensor, sources: Tensor) -> Move:
    return Move(member.parameter, member.dimension, moved, sources, member.within)
