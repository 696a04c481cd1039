"""How many Chebyshev terms a function of bounded frequencies takes on an interval."""

from __future__ import annotations

import math
from functools import lru_cache

__all__ = ["terms_for"]


@lru_cache(maxsize=1024)
def terms_for(key: bytes, half: float, tolerance: float) -> int:
    """Number of Chebyshev terms on an interval.

    Term k of a frequency b is a Bessel function J_k(2πb·half), which Kapteyn's inequality bounds. What is
    left out is kept small over all frequencies together; the fastest one alone, should an encoder use no
    other, then has up to √F times the tolerance.

    Args:
        key: the frequencies; see :func:`frequency_key`.
        half: the interval's half-width.
        tolerance: relative error of values; that of derivatives is a few times as large.
    """
    phases = tuple(2 * math.pi * half * abs(b) for b in memoryview(key).cast("d") if b)
    k = max(2, math.ceil(max(phases, default=0.0)))
    while phases and _missing(k, phases) > tolerance:
        k += 1
    return k + 1


def _missing(k: int, phases: tuple[float, ...]) -> float:
    """Root mean square over frequencies of twice the bound of J_k."""
    squares = sum(math.exp(2 * _log_bessel(k, phase)) for phase in phases)
    return 2 * math.sqrt(squares / len(phases))


def _log_bessel(k: int, phase: float) -> float:
    """Logarithm of Kapteyn's bound of |J_k(phase)|, for k at least phase, which is positive."""
    x = phase / k
    root = math.sqrt(max(0.0, 1 - x * x))
    return k * (math.log(x) + root - math.log1p(root)) if x > 0 else -math.inf
