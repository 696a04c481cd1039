"""The scalar function g of a column of weights, with its terms along the columns: for the multi-edge kernels.

Sums over sources wait for φ_h's ReLU there, so that what tensor cores contract is the terms. They are made
sixteen at a time: the recurrence runs in a register a row and is written into the columns.
"""

from __future__ import annotations

import triton
import triton.language as tl

from wsgraph_encoders.triton.kernels.arithmetic import phase_of, product

__all__ = ["columns_of", "edge_map", "parameter_tile", "scaled"]


@triton.jit
def scaled(w, inverse):
    """Weights over the interval's half-width, zero outside, and a mask of those inside."""
    x = w * inverse
    inside = tl.abs(x) <= 1
    return tl.where(inside, x, 0.0), inside


@triton.jit
def columns_of(term, before, x, BR: tl.constexpr):
    """The next sixteen terms of T's recurrence, ``[BR, 16]``, and the two that go on from there."""
    column = tl.arange(0, 16)
    block = tl.zeros((BR, 16), tl.float32)
    for k in tl.static_range(16):
        block = tl.where(column[None, :] == k, term[:, None], block)
        after = 2 * x * term - before
        before = term
        term = after
    return block, term, before


@triton.jit
def parameter_tile(ptr, first, limit, e, width):
    """Rows ``first`` to ``first + 16`` of a matrix of coefficients, zero from row ``limit`` on."""
    k = first + tl.arange(0, 16)
    mask = (k < limit)[:, None] & (e < width)[None, :]
    return tl.load(ptr + k[:, None] * width + e[None, :], mask=mask, other=0.0)


@triton.jit
def _outside(g, w, outside, fourier_ptr, frequencies_ptr, count, e, width, PRECISION: tl.constexpr):
    chosen = outside.to(tl.float32)[:, None]
    g += chosen * tl.load(fourier_ptr + 2 * count * width + e, mask=e < width, other=0.0)[None, :]
    for f0 in range(0, count, 16):
        f = f0 + tl.arange(0, 16)
        phase = phase_of(w[:, None], tl.load(frequencies_ptr + f, mask=f < count, other=0.0)[None, :])
        sines = parameter_tile(fourier_ptr, f0, count, e, width)
        g = product(chosen * tl.sin(phase), sines, g, PRECISION)
        cosines = parameter_tile(fourier_ptr + count * width, f0, count, e, width)
        g = product(chosen * tl.cos(phase), cosines, g, PRECISION)
    return g


@triton.jit
def edge_map(w, function, e, width, PRECISION: tl.constexpr, BR: tl.constexpr, BE: tl.constexpr):
    """``[BR]`` weights to ``[BR, BE]``.

    ``function`` is a tuple: one over the interval's half-width, stretches of weights outside it, coefficients
    of the terms, how many, coefficients of sines, cosines and 1, frequencies, how many.
    """
    inverse, strays, g_ptr, terms, fourier_ptr, frequencies_ptr, count = function
    x, inside = scaled(w, inverse)
    g = tl.zeros((BR, BE), tl.float32)
    term, before = inside.to(tl.float32), x
    for k0 in range(0, terms, 16):
        block, term, before = columns_of(term, before, x, BR)
        g = product(block, parameter_tile(g_ptr, k0, terms, e, width), g, PRECISION)
    if strays > 0:
        outside = inside == 0
        if tl.max(outside.to(tl.int32), 0) > 0:
            g = _outside(g, w, outside, fourier_ptr, frequencies_ptr, count, e, width, PRECISION)
    return g
