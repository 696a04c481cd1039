"""Eq. 4 in one kernel: m[r, c] = Σ_s Σ_k T_k(w[r, s]) G[k, c] u[s, c].

A tile of weights is read once; T_k is made by its recurrence in registers and multiplied with G_k ⊙ u on
tensor cores, all into one accumulator. A weight outside the interval counts as zero there. Where a matrix has
any, its tiles are gone through again, and those with such weights add how their sines and cosines differ from
those of zero in the same way, which is exact for any weight.
"""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.arithmetic import any_of, operand_layout, phase_of, product
from wsgraph_encoders.triton.kernels.rungs import rung_of
from wsgraph_encoders.triton.kernels.segments import locate, source_range
from wsgraph_encoders.triton.kernels.tiles import feature_tile, store_features, weight_tile

__all__ = ["single_kernel", "tuned_single_kernel"]


@triton.jit
def _inside(
    total,
    w,
    inverse,
    u,
    g_ptr,
    terms,
    width,
    c,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BS: tl.constexpr,
):
    inside = tl.abs(w * inverse) <= 1
    x = operand_layout(tl.where(inside, w, 0.0), PARTS, BR, BS) * inverse
    term, before = x * 0.0 + 1.0, x  # T_0 and T_{-1} = T_1
    for k in range(terms):
        g = tl.load(g_ptr + k * width + c, mask=c < width, other=0.0)
        total = product(term, u * g[None, :], total, PRECISION)
        after = 2 * x * term - before
        before = term
        term = after
    return total


@triton.jit
def _outside(total, w, outside, u, fourier_ptr, frequencies_ptr, count, width, c, PRECISION: tl.constexpr):
    here, chosen = c < width, outside.to(tl.float32)
    for f in range(count):
        phase = phase_of(w, tl.load(frequencies_ptr + f))
        sine = tl.load(fourier_ptr + f * width + c, mask=here, other=0.0)
        total = product(chosen * tl.sin(phase), u * sine[None, :], total, PRECISION)
        cosine = tl.load(fourier_ptr + (count + f) * width + c, mask=here, other=0.0)
        total = product(chosen * (tl.cos(phase) - 1), u * cosine[None, :], total, PRECISION)
    return total


@triton.jit
def single_kernel(
    w_ptr,
    u_ptr,
    out_ptr,
    coefficients_ptr,
    fourier_ptr,
    frequencies_ptr,
    inverse_ptr,
    rungs_ptr,
    level_ptr,
    segments_ptr,
    tiles_ptr,
    rows,
    sources,
    groups,
    w_batch,
    w_group,
    w_row,
    w_source,
    width,
    count,
    out_rows,
    GROUPED: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    SIZE: tl.constexpr,  # noqa: ARG001  the tuner keeps its choices by it
    BC: tl.constexpr,
    BR: tl.constexpr,
    BS: tl.constexpr,
):
    """One tile of rows and of columns, over its share of the sources; grid (row tiles, columns, shares).

    ``out`` is [shares, out_rows, width]; every element is written. ``level`` is [segments, 2]: the rung, and
    how many stretches of weights lie outside its interval. The tuner keeps its choices by ``SIZE``.
    """
    segment, tile, first, w_row, w_source, rows, sources, first_source, first_row = locate(
        segments_ptr, tiles_ptr, rows, sources, groups, w_batch, w_group, w_row, w_source, GROUPED, BR
    )
    inverse, first_term, terms, strays = rung_of(segment, level_ptr, inverse_ptr, rungs_ptr)
    g_ptr = coefficients_ptr + first_term * width
    r = tile * BR + tl.arange(0, BR)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    total = tl.zeros((BR, BC), tl.float32)
    start, stop = source_range(sources, 2, BS)
    for s0 in range(start, stop, BS):
        s = s0 + tl.arange(0, BS)
        w = weight_tile(w_ptr + first, r, s, rows, sources, w_row, w_source)
        u = feature_tile(u_ptr, first_source, s, sources, c, width)
        total = _inside(total, w, inverse, u, g_ptr, terms, width, c, PARTS, PRECISION, BR, BS)
    if strays > 0:
        for s0 in range(start, stop, BS):
            s = s0 + tl.arange(0, BS)
            w = weight_tile(w_ptr + first, r, s, rows, sources, w_row, w_source)
            outside = (tl.abs(w * inverse) <= 1) == 0
            if any_of(outside):
                u = feature_tile(u_ptr, first_source, s, sources, c, width)
                total = _outside(
                    total, w, outside, u, fourier_ptr, frequencies_ptr, count, width, c, PRECISION
                )
    store_features(out_ptr, tl.program_id(2) * out_rows + first_row, r, rows, c, width, total)


tuned_single_kernel = triton.autotune(
    configs=[
        triton.Config({"BR": 128, "BS": 32}, num_warps=8, num_stages=2),
        triton.Config({"BR": 128, "BS": 32}, num_warps=4, num_stages=2),
        triton.Config({"BR": 128, "BS": 64}, num_warps=8, num_stages=2),
        triton.Config({"BR": 64, "BS": 32}, num_warps=4, num_stages=2),
        triton.Config({"BR": 64, "BS": 64}, num_warps=4, num_stages=2),
        triton.Config({"BR": 256, "BS": 32}, num_warps=8, num_stages=2),
    ],
    key=["width", "SIZE", "PRECISION"],
)(single_kernel)
"""For large matrices, with block sizes that are tried out on the GPU at hand when they are first needed."""
