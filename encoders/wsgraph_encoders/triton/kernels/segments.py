"""Which matrix of weights a program works on: one of a batch, or one of a table of unlike ones."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["copy_of", "locate", "source_range"]


@triton.jit
def locate(
    segments_ptr,
    tiles_ptr,
    rows,
    sources,
    groups,
    w_batch,
    w_group,
    w_row,
    w_source,
    GROUPED: tl.constexpr,
    BR: tl.constexpr,
):
    """Segment, tile of rows, first weight, its strides, rows, sources, first row of u, first row of the sum.

    A table of segments has int64 fields: first weight, row stride, source stride, rows, sources, first row
    of u, first row of the sum; a table of tiles int32 fields: segment, tile of rows.
    """
    pid = tl.program_id(0)
    if GROUPED:
        segment = tl.load(tiles_ptr + 2 * pid).to(tl.int64)
        tile = tl.load(tiles_ptr + 2 * pid + 1)
        field = segments_ptr + 7 * segment
        first = tl.load(field)
        w_row, w_source = tl.load(field + 1), tl.load(field + 2)
        rows, sources = tl.load(field + 3).to(tl.int32), tl.load(field + 4).to(tl.int32)
        first_source, first_row = tl.load(field + 5), tl.load(field + 6)
    else:
        count = tl.cdiv(rows, BR)
        segment = (pid // count).to(tl.int64)
        tile = pid % count
        first = (segment // groups) * w_batch + (segment % groups) * w_group
        first_source, first_row = segment * sources, segment * rows
    return segment, tile, first, w_row, w_source, rows, sources, first_source, first_row


@triton.jit
def source_range(sources, axis: tl.constexpr, BS: tl.constexpr):
    """This program's share of the sources, where several divide them: first and one past the last."""
    share = tl.cdiv(tl.cdiv(sources, BS), tl.num_programs(axis)) * BS
    start = tl.program_id(axis) * share
    return start, tl.minimum(start + share, sources)


@triton.jit
def copy_of(copies):
    """Which copy of a gradient this program adds to; grid (row tiles, columns, shares)."""
    return ((tl.program_id(0) * tl.num_programs(2) + tl.program_id(2)) % copies).to(tl.int64)
