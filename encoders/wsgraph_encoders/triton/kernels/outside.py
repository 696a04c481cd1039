"""How many weights lie outside each rung's interval, of each segment: one reading of the weights."""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.segments import locate, source_range
from wsgraph_encoders.triton.kernels.tiles import weight_tile

__all__ = ["outside_kernel"]


@triton.jit
def outside_kernel(
    w_ptr,
    counts_ptr,
    inverse_ptr,
    segments_ptr,
    tiles_ptr,
    rows,
    sources,
    groups,
    w_batch,
    w_group,
    w_row,
    w_source,
    RUNGS: tl.constexpr,
    GROUPED: tl.constexpr,
    BR: tl.constexpr,
    BS: tl.constexpr,
):
    """Adds to ``counts`` [segments, RUNGS], int32; grid (row tiles, shares of the sources)."""
    segment, tile, first, w_row, w_source, rows, sources, _source, _row = locate(
        segments_ptr, tiles_ptr, rows, sources, groups, w_batch, w_group, w_row, w_source, GROUPED, BR
    )
    r = tile * BR + tl.arange(0, BR)
    start, stop = source_range(sources, 1, BS)
    largest = tl.zeros((BR,), tl.float32)
    for s0 in range(start, stop, BS):
        s = s0 + tl.arange(0, BS)
        w = weight_tile(w_ptr + first, r, s, rows, sources, w_row, w_source)
        largest = tl.maximum(largest, tl.max(tl.abs(w), 1))
    inverse = tl.load(inverse_ptr + tl.arange(0, RUNGS))
    outside = (largest[:, None] * inverse[None, :] <= 1) == 0
    counts = counts_ptr + segment * RUNGS + tl.arange(0, RUNGS)
    tl.atomic_add(counts, tl.sum(outside.to(tl.int32), 0), sem="relaxed")
