"""Eq. 5 in one kernel: m[r, c] = Σ_s relu(offset[s, c] + Σ_ne g_e(w[r, s, n]) head[s, n, e] first[n, e, c]).

A program holds the hidden units of one source and a tile of destinations, adds one parallel edge after the
other on tensor cores, and sums over sources after the ReLU. Nothing of the size of the edges is written.
"""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.arithmetic import product, wide
from wsgraph_encoders.triton.kernels.edge_map import edge_map
from wsgraph_encoders.triton.kernels.rungs import rung_of
from wsgraph_encoders.triton.kernels.segments import locate, source_range
from wsgraph_encoders.triton.kernels.tiles import store_features

__all__ = ["first_tile", "hidden_units", "multi_kernel", "weight_column"]


@triton.jit
def weight_column(w_ptr, r, rows, w_row):
    """The weights of one source and parallel edge, ``[BR]`` in float32."""
    return tl.load(w_ptr + r.to(tl.int64) * w_row, mask=r < rows, other=0.0).to(tl.float32)


@triton.jit
def first_tile(first_ptr, n, e, c, width_e, width):
    """φ_h's first map of one head, ``[BE, BC]``."""
    at = first_ptr + (n * width_e + e)[:, None] * width + c[None, :]
    return tl.load(at, mask=(e < width_e)[:, None] & (c < width)[None, :], other=0.0)


@triton.jit
def hidden_units(
    w_ptr,
    heads_ptr,
    offset_ptr,
    first_ptr,
    source,
    r,
    rows,
    w_row,
    w_parallel,
    parallel,
    function,
    e,
    width_e,
    c,
    width,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BE: tl.constexpr,
    BC: tl.constexpr,
):
    """``[BR, BC]`` before the ReLU, of one source; ``function`` as :func:`edge_map` takes it."""
    offset = tl.load(offset_ptr + source * width + c, mask=c < width, other=0.0)
    hidden = tl.zeros((BR, BC), tl.float32) + offset[None, :]
    for n in range(parallel):
        w = weight_column(w_ptr + n * w_parallel, r, rows, w_row)
        g = edge_map(w, function, e, width_e, PRECISION, BR, BE)
        head = tl.load(heads_ptr + (source * parallel + n) * width_e + e, mask=e < width_e, other=0.0)
        tile = first_tile(first_ptr, n, e, c, width_e, width)
        hidden = product(g * head[None, :], tile, hidden, PRECISION)
    return hidden


@triton.jit
def multi_kernel(
    w_ptr,
    heads_ptr,
    offset_ptr,
    first_ptr,
    out_ptr,
    coefficients_ptr,
    fourier_ptr,
    frequencies_ptr,
    inverse_ptr,
    rungs_ptr,
    level_ptr,
    rows,
    sources,
    groups,
    w_batch,
    w_group,
    w_row,
    w_source,
    w_parallel,
    parallel,
    width_e,
    width,
    count,
    out_rows,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BE: tl.constexpr,
    BC: tl.constexpr,
):
    """One tile of rows and of columns, over its share of the sources; grid (row tiles, columns, shares).

    ``out`` is [shares, out_rows, width]; every element is written.
    """
    segment, tile, start_w, w_row, w_source, rows, sources, first_source, first_row = locate(
        level_ptr, level_ptr, rows, sources, groups, w_batch, w_group, w_row, w_source, False, BR
    )
    inverse, first_term, terms, strays = rung_of(segment, level_ptr, inverse_ptr, rungs_ptr)
    g_ptr = coefficients_ptr + first_term * width_e
    function = inverse, strays, g_ptr, terms, fourier_ptr, frequencies_ptr, count
    r = tile * BR + tl.arange(0, BR)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    e = tl.arange(0, BE)
    total = tl.zeros((BR, BC), tl.float32)
    start, stop = source_range(sources, 2, 1)
    for s in range(start, stop):
        hidden = hidden_units(
            w_ptr + start_w + wide(s) * w_source,
            heads_ptr,
            offset_ptr,
            first_ptr,
            first_source + s,
            r,
            rows,
            w_row,
            w_parallel,
            parallel,
            function,
            e,
            width_e,
            c,
            width,
            PRECISION,
            BR,
            BE,
            BC,
        )
        total += tl.maximum(hidden, 0.0)
    store_features(out_ptr, tl.program_id(2) * out_rows + first_row, r, rows, c, width, total)
