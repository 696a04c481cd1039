"""The gradients of Eq. 5's sum: hidden units are made again, source by source, and gone through backwards."""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.arithmetic import phase_of, product, wide
from wsgraph_encoders.triton.kernels.edge_map import columns_of, edge_map, parameter_tile, scaled
from wsgraph_encoders.triton.kernels.multi import first_tile, hidden_units, weight_column
from wsgraph_encoders.triton.kernels.rungs import rung_of
from wsgraph_encoders.triton.kernels.segments import copy_of, locate, source_range
from wsgraph_encoders.triton.kernels.tiles import feature_tile

__all__ = ["multi_backward_kernel"]


@triton.jit
def _add_tile(ptr, first, limit, left, right, e, width, PRECISION: tl.constexpr, BE: tl.constexpr):
    """Adds leftᵀ right, ``[16, BE]``, to rows of a gradient."""
    k = first + tl.arange(0, 16)
    sums = product(tl.trans(left), right, tl.zeros((16, BE), tl.float32), PRECISION)
    mask = (k < limit)[:, None] & (e < width)[None, :]
    tl.atomic_add(ptr + k[:, None] * width + e[None, :], sums, mask=mask, sem="relaxed")


@triton.jit
def _inside(
    dg_ptr,
    w,
    inverse,
    dg,
    g_ptr,
    terms,
    e,
    width,
    WEIGHTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BE: tl.constexpr,
):
    """Adds the coefficients' gradient; returns the slope for weights inside the interval, ``[BR]``."""
    x, inside = scaled(w, inverse)
    term, before = inside.to(tl.float32), x
    second, second_before = inside.to(tl.float32) * 0.0, -inside.to(tl.float32)  # U_{-1} = 0, U_{-2} = -1
    slope = tl.zeros((BR,), tl.float32)
    for k0 in range(0, terms, 16):
        block, term, before = columns_of(term, before, x, BR)
        _add_tile(dg_ptr, k0, terms, block, dg, e, width, PRECISION, BE)
        if WEIGHTS:
            slopes, second, second_before = columns_of(second, second_before, x, BR)
            g = parameter_tile(g_ptr, k0, terms, e, width)
            along = product(dg, tl.trans(g), tl.zeros((BR, 16), tl.float32), PRECISION)
            slope += tl.sum(along * slopes * (k0 + tl.arange(0, 16)).to(tl.float32)[None, :], 1)
    return slope * inverse


@triton.jit
def _outside(
    df_ptr,
    w,
    outside,
    dg,
    fourier_ptr,
    frequencies_ptr,
    count,
    e,
    width,
    WEIGHTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BE: tl.constexpr,
):
    """The same for weights outside, through sines and cosines."""
    chosen = outside.to(tl.float32)[:, None]
    tl.atomic_add(df_ptr + 2 * count * width + e, tl.sum(chosen * dg, 0), mask=e < width, sem="relaxed")
    slope = tl.zeros((BR,), tl.float32)
    for f0 in range(0, count, 16):
        f = f0 + tl.arange(0, 16)
        b = tl.load(frequencies_ptr + f, mask=f < count, other=0.0)[None, :]
        phase = phase_of(w[:, None], b)
        sine, cosine = chosen * tl.sin(phase), chosen * tl.cos(phase)
        _add_tile(df_ptr, f0, count, sine, dg, e, width, PRECISION, BE)
        _add_tile(df_ptr + count * width, f0, count, cosine, dg, e, width, PRECISION, BE)
        if WEIGHTS:
            empty = tl.zeros((BR, 16), tl.float32)
            of_sines = parameter_tile(fourier_ptr, f0, count, e, width)
            of_cosines = parameter_tile(fourier_ptr + count * width, f0, count, e, width)
            along = product(dg, tl.trans(of_sines), empty, PRECISION) * cosine
            along -= product(dg, tl.trans(of_cosines), empty, PRECISION) * sine
            slope += tl.sum(6.283185307179586 * b * along, 1)
    return slope


@triton.jit
def multi_backward_kernel(
    w_ptr,
    heads_ptr,
    offset_ptr,
    first_ptr,
    dm_ptr,
    d_heads_ptr,
    d_offset_ptr,
    d_first_ptr,
    dg_ptr,
    dw_ptr,
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
    grad_rows,
    copies,
    WEIGHTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BE: tl.constexpr,
    BC: tl.constexpr,
):
    """Adds to all gradients, which start from zero; grid as in the forward kernel.

    ``d_first`` is [copies, parallel, width_e, width], ``dg`` [copies, grad_rows + 2F + 1, width_e], ``dw``
    [segments, rows, sources, parallel], all float32.
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
    copy = copy_of(copies)
    d_first_ptr += copy * parallel * width_e * width
    dg_ptr += copy * (grad_rows + 2 * count + 1) * width_e
    dm = feature_tile(dm_ptr, first_row, r, rows, c, width)
    start, stop = source_range(sources, 2, 1)
    for s in range(start, stop):
        source = first_source + s
        at = w_ptr + start_w + wide(s) * w_source
        hidden = hidden_units(
            at,
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
            PRECISION,
            BR,
            BE,
            BC,
        )
        dh = tl.where(hidden > 0, dm, 0.0)
        tl.atomic_add(d_offset_ptr + source * width + c, tl.sum(dh, 0), mask=c < width, sem="relaxed")
        for n in range(parallel):
            w = weight_column(at + n * w_parallel, r, rows, w_row)
            g = edge_map(w, function, e, width_e, PRECISION, BR, BE)
            of_head = (source * parallel + n) * width_e + e
            head = tl.load(heads_ptr + of_head, mask=e < width_e, other=0.0)
            d_tile = product(tl.trans(g * head[None, :]), dh, tl.zeros((BE, BC), tl.float32), PRECISION)
            tile_at = d_first_ptr + (n * width_e + e)[:, None] * width + c[None, :]
            mask = (e < width_e)[:, None] & (c < width)[None, :]
            tl.atomic_add(tile_at, d_tile, mask=mask, sem="relaxed")
            weights_of_head = first_tile(first_ptr, n, e, c, width_e, width)
            dy = product(dh, tl.trans(weights_of_head), tl.zeros((BR, BE), tl.float32), PRECISION)
            tl.atomic_add(d_heads_ptr + of_head, tl.sum(dy * g, 0), mask=e < width_e, sem="relaxed")
            dg = dy * head[None, :]
            slope = _inside(
                dg_ptr + first_term * width_e,
                w,
                inverse,
                dg,
                g_ptr,
                terms,
                e,
                width_e,
                WEIGHTS,
                PRECISION,
                BR,
                BE,
            )
            if strays > 0:
                slope += _outside(
                    dg_ptr + grad_rows * width_e,
                    w,
                    (tl.abs(w * inverse) <= 1) == 0,
                    dg,
                    fourier_ptr,
                    frequencies_ptr,
                    count,
                    e,
                    width_e,
                    WEIGHTS,
                    PRECISION,
                    BR,
                    BE,
                )
            if WEIGHTS:
                dw_at = dw_ptr + (((first_row + r) * sources) + s) * parallel + n
                tl.atomic_add(dw_at, slope, mask=r < rows, sem="relaxed")
