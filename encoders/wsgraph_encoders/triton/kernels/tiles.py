"""Reading tiles of weights, reading and writing those of rows of features."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["feature_tile", "store_features", "weight_tile"]


@triton.jit
def weight_tile(w_ptr, r, s, rows, sources, w_row, w_source):
    """``[BR, BS]`` in float32; zero beyond the matrix."""
    mask = (r < rows)[:, None] & (s < sources)[None, :]
    at = w_ptr + r.to(tl.int64)[:, None] * w_row + s.to(tl.int64)[None, :] * w_source
    return tl.load(at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def feature_tile(ptr, first, n, size, c, width):
    """Rows ``first + n`` of a matrix, columns c: ``[BN, BC]``; zero beyond ``size`` rows."""
    at = ptr + (first + n)[:, None] * width + c[None, :]
    return tl.load(at, mask=(n < size)[:, None] & (c < width)[None, :], other=0.0)


@triton.jit
def store_features(ptr, first, n, size, c, width, tile):
    """Writes ``[BN, BC]`` where :func:`feature_tile` reads it."""
    at = ptr + (first + n)[:, None] * width + c[None, :]
    tl.store(at, tile, mask=(n < size)[:, None] & (c < width)[None, :])
