"""Where a launch finds its matrices of weights: one batch of alike ones, or a table of unlike ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from wsgraph_encoders.triton.launch import INTERPRETED, blocks_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph_encoders.triton.launch import Blocks

__all__ = ["Layout", "Segment", "Table", "layout_of", "table_of"]

_TABLE_ROWS = 16 if INTERPRETED else 32
"""Rows of a tile where a table says which there are: its blocks are small ones."""


class Segment(NamedTuple):
    """One matrix of weights in a flat buffer.

    Attributes:
        first: its first weight.
        row_stride: elements between rows.
        source_stride: elements between sources.
        rows: destinations.
        sources: sources.
        first_source: its first row of u.
        first_row: its first row of the sum.
    """

    first: int
    row_stride: int
    source_stride: int
    rows: int
    sources: int
    first_source: int
    first_row: int


class Table(NamedTuple):
    """Segments on the device.

    Attributes:
        segments: int64 ``[segments, 7]``, the fields of :class:`Segment`.
        tiles: segment and tile of rows, int32 ``[tiles, 2]``.
        transposed: the same for the transposed matrices, which the gradient for u goes through.
    """

    segments: Tensor
    tiles: Tensor
    transposed: Tensor


class Layout(NamedTuple):
    """What kernels are told.

    Attributes:
        tables: segments and tiles; of a batch, unread tensors in their place.
        sizes: rows, sources, groups, strides of batch, group, rows and sources; of a table, unread.
        segments: number of matrices.
        out_shape: shape of the sum without its last dimension.
    """

    tables: tuple[Tensor, Tensor]
    sizes: tuple[int, ...]
    segments: int
    out_shape: tuple[int, ...]

    def blocks(self, width: int) -> Blocks:
        """Block sizes for messages so wide."""
        return blocks_for(self.sizes[0] or _TABLE_ROWS, width)

    def row_tiles(self, block: int) -> int:
        """Number of tiles of rows in all segments."""
        rows = self.sizes[0]
        return len(self.tables[1]) if rows == 0 else self.segments * -(-rows // block)


def table_of(segments: Sequence[Segment], device: torch.device) -> Table:
    """The table of some segments, each with at least one row and one source."""
    rows = torch.tensor(segments, dtype=torch.int64).view(-1, 7)
    tiles, transposed = (_tiles(rows[:, field]) for field in (3, 4))
    return Table(rows.to(device), tiles.to(device), transposed.to(device))


def _tiles(sizes: Tensor) -> Tensor:
    counts = (sizes + _TABLE_ROWS - 1) // _TABLE_ROWS
    segment = torch.arange(len(sizes)).repeat_interleave(counts)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.stack([segment, torch.arange(len(segment)) - starts], 1).to(torch.int32)


def layout_of(w: Tensor, segments: Tensor | None, tiles: Tensor | None, out_rows: int) -> Layout:
    """Of a batch ``[b, g, r, s]``, any strides, or of a flat buffer with a table."""
    if segments is None or tiles is None:
        b, g, r, s = w.shape[:4]
        return Layout((w, w), (r, s, g, *w.stride()[:4]), b * g, (b, g, r))
    return Layout((segments, tiles), (0,) * 7, len(segments), (out_rows,))
