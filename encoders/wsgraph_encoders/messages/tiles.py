"""Sums over edges in tiles of bounded size, forward and backward.

The backward pass makes each tile again and differentiates it, so that nothing of the size
[edges x hidden] is ever kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["DenseTiles", "PairTiles", "Tiles", "accumulate"]


class Tiles(Protocol):
    """How the operands of a sum are cut into tiles."""

    def split(self) -> Iterator[Any]:
        """The tiles."""
        ...

    @property
    def whole(self) -> bool:
        """Whether a single tile's result is the sum."""
        ...

    def empty(self, like: Tensor) -> Tensor:
        """The sum before anything is added."""
        ...

    def take(self, operand: int, tensor: Tensor, tile: Any) -> Tensor:
        """What a tile needs of an operand."""
        ...

    def give(self, operand: int, grad: Tensor, tile: Any, part: Tensor) -> None:
        """Add a tile's gradient where :meth:`take` took from."""
        ...

    def add(self, out: Tensor, tile: Any, part: Tensor) -> None:
        """Add a tile's result to the sum."""
        ...

    def cut(self, grad: Tensor, tile: Any) -> Tensor:
        """The sum's gradient at a tile's result."""
        ...


@dataclass(frozen=True, slots=True)
class DenseTiles:
    """Blocks of batched matrices ``[n, r, s]``: batch, destinations, sources.

    Attributes:
        size: the whole matrix.
        tile: sizes of one tile.
        axes: which of the three axes (``"nrs"``, ``"ns"``, ``""``) each operand's first dimensions are.
        width: width of the result, ``[n, r, width]``.
    """

    size: tuple[int, int, int]
    tile: tuple[int, int, int]
    axes: tuple[str, ...]
    width: int

    def split(self) -> Iterator[dict[str, slice]]:
        """Slices by axis."""
        (n, r, s), (dn, dr, ds) = self.size, self.tile
        for a in range(0, n, dn):
            for b in range(0, r, dr):
                for c in range(0, s, ds):
                    yield {"n": slice(a, a + dn), "r": slice(b, b + dr), "s": slice(c, c + ds)}

    @property
    def whole(self) -> bool:
        """Whether the tile is as large as the matrix."""
        return self.size == self.tile

    def empty(self, like: Tensor) -> Tensor:
        """``[n, r, width]``."""
        return like.new_zeros(*self.size[:2], self.width)

    def take(self, operand: int, tensor: Tensor, tile: dict[str, slice]) -> Tensor:
        """A view."""
        return tensor[tuple(tile[axis] for axis in self.axes[operand])]

    def give(self, operand: int, grad: Tensor, tile: dict[str, slice], part: Tensor) -> None:
        """Into the view."""
        self.take(operand, grad, tile).add_(part)

    def add(self, out: Tensor, tile: dict[str, slice], part: Tensor) -> None:
        """Into the tile's rows."""
        out[tile["n"], tile["r"]].add_(part)

    def cut(self, grad: Tensor, tile: dict[str, slice]) -> Tensor:
        """The tile's rows."""
        return grad[tile["n"], tile["r"]]


@dataclass(frozen=True, slots=True, eq=False)
class PairTiles:
    """Stretches of a list of pairs.

    Attributes:
        src: row of each pair's source, ``[pairs]``.
        dst: row of each pair's destination, ``[pairs]``.
        rows: number of destination rows.
        length: pairs in a tile.
        kinds: for each operand ``"p"`` (one row a pair), ``"s"`` (one row a source) or ``""`` (all of it).
        width: width of the result, ``[rows, width]``.
    """

    src: Tensor
    dst: Tensor
    rows: int
    length: int
    kinds: tuple[str, ...]
    width: int

    def split(self) -> Iterator[slice]:
        """Slices of the list."""
        for start in range(0, len(self.src), self.length):
            yield slice(start, start + self.length)

    @property
    def whole(self) -> bool:
        """Pairs have yet to be added to their destinations."""
        return False

    def empty(self, like: Tensor) -> Tensor:
        """``[rows, width]``."""
        return like.new_zeros(self.rows, self.width)

    def take(self, operand: int, tensor: Tensor, tile: slice) -> Tensor:
        """The pairs' rows, gathered where rows belong to sources."""
        kind = self.kinds[operand]
        if kind == "s":
            return tensor.index_select(0, self.src[tile])
        return tensor[tile] if kind == "p" else tensor

    def give(self, operand: int, grad: Tensor, tile: slice, part: Tensor) -> None:
        """Scattered where rows belong to sources."""
        if self.kinds[operand] == "s":
            grad.index_add_(0, self.src[tile], part)
        else:
            self.take(operand, grad, tile).add_(part)

    def add(self, out: Tensor, tile: slice, part: Tensor) -> None:
        """Into the destinations' rows."""
        out.index_add_(0, self.dst[tile], part)

    def cut(self, grad: Tensor, tile: slice) -> Tensor:
        """The destinations' rows."""
        return grad.index_select(0, self.dst[tile])


def accumulate(tiles: Tiles, compute: Callable[..., Tensor], like: Tensor, *operands: Tensor) -> Tensor:
    """The sum of ``compute`` over all tiles, differentiable in the operands.

    Args:
        tiles: how operands and result are cut.
        compute: from what a tile takes of each operand to the tile's result.
        like: a tensor of the result's dtype and device.
        operands: the tensors.
    """
    out: Tensor = _Accumulate.apply(tiles, compute, like.detach(), *operands)  # type: ignore[no-untyped-call]  # torch's
    return out


class _Accumulate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tiles: Tiles, compute: Callable[..., Tensor], like: Tensor, *operands: Tensor
    ) -> Tensor:
        ctx.tiles, ctx.compute = tiles, compute
        ctx.save_for_backward(*operands)
        if tiles.whole:
            return compute(*operands)
        out = tiles.empty(like)
        for tile in tiles.split():
            tiles.add(out, tile, compute(*_taken(tiles, tile, operands)))
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        tiles: Tiles = ctx.tiles
        operands: tuple[Tensor, ...] = ctx.saved_tensors
        wanted = [k for k in range(len(operands)) if ctx.needs_input_grad[3 + k]]
        grads = {
            k: torch.zeros(operands[k].shape, dtype=operands[k].dtype, device=operands[k].device)
            for k in wanted
        }
        for tile in tiles.split():
            parts = [part.detach() for part in _taken(tiles, tile, operands)]
            for k in wanted:
                parts[k].requires_grad_()
            with torch.enable_grad():
                result = ctx.compute(*parts)
            found = torch.autograd.grad(
                result, [parts[k] for k in wanted], tiles.cut(upstream[0], tile), materialize_grads=True
            )
            for k, part in zip(wanted, found, strict=True):
                tiles.give(k, grads[k], tile, part)
        return None, None, None, *(grads.get(k) for k in range(len(operands)))


def _taken(tiles: Tiles, tile: Any, operands: Sequence[Tensor]) -> list[Tensor]:
    return [tiles.take(k, operand, tile) for k, operand in enumerate(operands)]
