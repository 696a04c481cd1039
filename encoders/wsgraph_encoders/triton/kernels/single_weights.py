"""The gradient of Eq. 4's sum for the weights: dw[r, s] = Σ_k T_k'(w[r, s]) Σ_c G[k, c] dm[r, c] u[s, c].

T_k' = k U_{k-1}, and U obeys the recurrence of T.
"""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.arithmetic import any_of, operand_layout, phase_of, product
from wsgraph_encoders.triton.kernels.rungs import rung_of
from wsgraph_encoders.triton.kernels.segments import locate, source_range
from wsgraph_encoders.triton.kernels.tiles import feature_tile, weight_tile

__all__ = ["single_weights_kernel"]


@triton.jit
def _inside(
    total,
    w,
    inverse,
    dm,
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
    slope = x * 0.0
    second, before = slope + inverse, slope  # U_0 and U_{-1}, over the interval's half-width
    for k in range(1, terms):
        g = tl.load(g_ptr + k * width + c, mask=c < width, other=0.0)
        slope += k * second * product(dm, tl.trans(u * g[None, :]), tl.zeros_like(total), PRECISION)
        after = 2 * x * second - before
        before = second
        second = after
    return total + tl.where(inside, slope, 0.0)


@triton.jit
def _outside(
    total, w, outside, dm, u, fourier_ptr, frequencies_ptr, count, width, c, PRECISION: tl.constexpr
):
    chosen = outside.to(tl.float32)
    for f in range(count):
        b = tl.load(frequencies_ptr + f)
        phase = phase_of(w, b)
        sine = tl.load(fourier_ptr + f * width + c, mask=c < width, other=0.0)
        cosine = tl.load(fourier_ptr + (count + f) * width + c, mask=c < width, other=0.0)
        slope = product(dm, tl.trans(u * sine[None, :]), tl.zeros_like(total), PRECISION) * tl.cos(phase)
        slope -= product(dm, tl.trans(u * cosine[None, :]), tl.zeros_like(total), PRECISION) * tl.sin(phase)
        total += chosen * 6.283185307179586 * b * slope
    return total


@triton.jit
def single_weights_kernel(
    w_ptr,
    u_ptr,
    dm_ptr,
    dw_ptr,
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
    GROUPED: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BS: tl.constexpr,
    BC: tl.constexpr,
):
    """One tile of rows over its share of the sources; grid (row tiles, shares).

    ``dw`` is float32. Of a batch it is [segments, rows, sources]; of a table the weights' layout.
    """
    segment, tile, first, w_row, w_source, rows, sources, first_source, first_row = locate(
        segments_ptr, tiles_ptr, rows, sources, groups, w_batch, w_group, w_row, w_source, GROUPED, BR
    )
    inverse, first_term, terms, strays = rung_of(segment, level_ptr, inverse_ptr, rungs_ptr)
    g_ptr = coefficients_ptr + first_term * width
    r = tile * BR + tl.arange(0, BR)
    start, stop = source_range(sources, 1, BS)
    for s0 in range(start, stop, BS):
        s = s0 + tl.arange(0, BS)
        w = weight_tile(w_ptr + first, r, s, rows, sources, w_row, w_source)
        slope = tl.zeros((BR, BS), tl.float32)
        for c0 in range(0, width, BC):
            c = c0 + tl.arange(0, BC)
            dm = feature_tile(dm_ptr, first_row, r, rows, c, width)
            u = feature_tile(u_ptr, first_source, s, sources, c, width)
            slope = _inside(slope, w, inverse, dm, u, g_ptr, terms, width, c, PARTS, PRECISION, BR, BS)
            outside = (tl.abs(w * inverse) <= 1) == 0
            if (strays > 0) & any_of(outside):
                slope = _outside(
                    slope, w, outside, dm, u, fourier_ptr, frequencies_ptr, count, width, c, PRECISION
                )
        if GROUPED:
            at = first + r.to(tl.int64)[:, None] * w_row + s.to(tl.int64)[None, :] * w_source
        else:
            at = (first_row + r)[:, None] * sources + s[None, :]
        tl.store(dw_ptr + at, slope, mask=(r < rows)[:, None] & (s < sources)[None, :])
