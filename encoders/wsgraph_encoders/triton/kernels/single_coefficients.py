"""The gradient of Eq. 4's sum for the coefficients: dG[k, c] = Σ_rs T_k(w[r, s]) dm[r, c] u[s, c]."""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.arithmetic import any_of, operand_layout, phase_of, product
from wsgraph_encoders.triton.kernels.rungs import rung_of
from wsgraph_encoders.triton.kernels.segments import copy_of, locate, source_range
from wsgraph_encoders.triton.kernels.tiles import feature_tile, weight_tile

__all__ = ["single_coefficients_kernel"]


@triton.jit
def _add(grad_ptr, left, u, dm, here, PRECISION: tl.constexpr):
    """Adds one term's Σ_rs left[r, s] dm[r, c] u[s, c] to a row of the gradient."""
    sums = product(left, u, tl.zeros_like(dm), PRECISION)
    tl.atomic_add(grad_ptr, tl.sum(sums * dm, 0), mask=here, sem="relaxed")


@triton.jit
def _inside(
    grad_ptr,
    w,
    inverse,
    u,
    dm,
    terms,
    width,
    here,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BS: tl.constexpr,
):
    inside = tl.abs(w * inverse) <= 1
    x = operand_layout(tl.where(inside, w, 0.0), PARTS, BR, BS) * inverse
    term, before = x * 0.0 + 1.0, x
    for k in range(terms):
        _add(grad_ptr + k * width, term, u, dm, here, PRECISION)
        after = 2 * x * term - before
        before = term
        term = after


@triton.jit
def _outside(grad_ptr, w, outside, u, dm, frequencies_ptr, count, width, here, PRECISION: tl.constexpr):
    chosen = outside.to(tl.float32)
    for f in range(count):
        phase = phase_of(w, tl.load(frequencies_ptr + f))
        _add(grad_ptr + f * width, chosen * tl.sin(phase), u, dm, here, PRECISION)
        _add(grad_ptr + (count + f) * width, chosen * (tl.cos(phase) - 1), u, dm, here, PRECISION)


@triton.jit
def single_coefficients_kernel(
    w_ptr,
    u_ptr,
    dm_ptr,
    grad_ptr,
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
    grad_rows,
    copies,
    GROUPED: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BR: tl.constexpr,
    BS: tl.constexpr,
    BC: tl.constexpr,
):
    """Adds to one of ``copies`` of the gradient; grid as in the forward kernel.

    ``grad`` is [copies, grad_rows + 2F + 1, width]: coefficients of all rungs, then of sines, cosines and 1.
    Programs that share a copy add in no fixed order.
    """
    segment, tile, first, w_row, w_source, rows, sources, first_source, first_row = locate(
        segments_ptr, tiles_ptr, rows, sources, groups, w_batch, w_group, w_row, w_source, GROUPED, BR
    )
    inverse, first_term, terms, strays = rung_of(segment, level_ptr, inverse_ptr, rungs_ptr)
    r = tile * BR + tl.arange(0, BR)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    here = c < width
    grad_at = grad_ptr + copy_of(copies) * (grad_rows + 2 * count + 1) * width + c
    g_at = grad_at + first_term * width
    dm = feature_tile(dm_ptr, first_row, r, rows, c, width)
    start, stop = source_range(sources, 2, BS)
    for s0 in range(start, stop, BS):
        s = s0 + tl.arange(0, BS)
        w = weight_tile(w_ptr + first, r, s, rows, sources, w_row, w_source)
        u = feature_tile(u_ptr, first_source, s, sources, c, width)
        _inside(g_at, w, inverse, u, dm, terms, width, here, PARTS, PRECISION, BR, BS)
    if strays > 0:
        fourier_at = grad_at + grad_rows * width
        for s0 in range(start, stop, BS):
            s = s0 + tl.arange(0, BS)
            w = weight_tile(w_ptr + first, r, s, rows, sources, w_row, w_source)
            outside = (tl.abs(w * inverse) <= 1) == 0
            if any_of(outside):
                u = feature_tile(u_ptr, first_source, s, sources, c, width)
                _outside(fourier_at, w, outside, u, dm, frequencies_ptr, count, width, here, PRECISION)
