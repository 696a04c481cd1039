"""Which interval a matrix of weights is expanded on: a rung of :mod:`wsgraph_encoders.triton.ladder`."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["rung_of"]


@triton.jit
def rung_of(segment, level_ptr, inverse_ptr, rungs_ptr):
    """One over the interval's half-width, first row and number of terms, stretches of weights outside."""
    level, strays = tl.load(level_ptr + 2 * segment), tl.load(level_ptr + 2 * segment + 1)
    first, terms = tl.load(rungs_ptr + 2 * level), tl.load(rungs_ptr + 2 * level + 1)
    return tl.load(inverse_ptr + level), first, terms, strays
