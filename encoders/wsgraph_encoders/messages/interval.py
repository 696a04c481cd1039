"""Which basis a block of weights is expanded in: the interval and the number of terms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.messages.basis import ChebyshevBasis, FourierBasis

if TYPE_CHECKING:
    from wsgraph_encoders.messages.basis import Basis

__all__ = ["choose_basis", "terms_for"]

_TOLERANCE = {torch.float32: 3e-7, torch.float64: 1e-15}
_MAX_TURNS = {torch.float32: 32.0, torch.float64: 1e9}
"""Beyond so many turns the phase 2πbw itself is rounded to more than the tolerance: then the naive formula
and the expansion would both be right and yet differ, so those weights take the naive formula."""
_MIN_PHASE = 1.0
"""Least half-width of an interval in radians of the fastest frequency: derivatives at equal weights need
polynomials of some width."""
_CHEAP = 24
_DIRECT_COST = 3
"""Cost of one Fourier feature of a single edge in Chebyshev terms: a sine, and no matrix product."""
_SAMPLE = 1 << 16
_LADDER = 24


def terms_for(phase: float, tolerance: float) -> int:
    """Number of Chebyshev terms for frequencies up to ``phase`` radians over half the interval.

    The coefficients are Bessel functions J_k(phase), which Kapteyn's inequality bounds. The k in front
    makes derivatives as exact as values.

    Args:
        phase: 2π · max|b| · half-width, in radians.
        tolerance: relative error.
    """
    k = max(2, math.ceil(phase))
    while 2 * k * math.exp(_log_bessel(k, phase)) > tolerance:
        k += 1
    return k + 1


def _log_bessel(k: int, phase: float) -> float:
    """Logarithm of Kapteyn's bound of |J_k(phase)|, for k at least phase."""
    x = phase / k
    root = math.sqrt(max(0.0, 1 - x * x))
    return k * (math.log(x) + root - math.log1p(root)) if x > 0 else -math.inf


def choose_basis(weights: Tensor, frequencies: Tensor, *, split: bool = True) -> Basis:
    """The basis that makes a block's messages cheapest, exact for all of its weights.

    Args:
        weights: the block's weights, finite, at least one.
        frequencies: ``[F]``.
        split: whether a few weights may be left outside the interval, for :meth:`Basis.inside` to tell.
    """
    weights = weights.detach()
    weights = weights.float() if weights.dtype.itemsize == 1 or not weights.is_floating_point() else weights
    low, high = (float(extreme) for extreme in torch.aminmax(weights))
    fastest = float(frequencies.abs().max()) if frequencies.numel() else 0.0
    fastest = max(fastest, 1e-6)
    direct = FourierBasis(frequencies)
    turns = _MAX_TURNS[frequencies.dtype] / fastest
    whole = _interval((low + high) / 2, (high - low) / 2, fastest, frequencies.dtype, split=False)
    reachable = max(abs(low), abs(high)) <= turns
    if reachable and whole.terms <= _CHEAP:
        return whole
    candidates: list[tuple[float, Basis]] = [(direct.terms * 1.5, direct)]
    if reachable:
        candidates.append((whole.terms, whole))
    if split:
        candidates += _splits(weights, high - low, fastest, turns, frequencies)
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _interval(centre: float, half: float, fastest: float, dtype: torch.dtype, *, split: bool) -> ChebyshevBasis:
    omega = 2 * math.pi * fastest
    # A hair wider than the weights, so that rounding leaves none outside.
    half = max(half * (1 + 1e-5), _MIN_PHASE / omega)
    phase = omega * half
    if phase > 1e5:  # far beyond use; counting its terms one by one would only take time
        return ChebyshevBasis(centre, half, math.ceil(phase), split)
    return ChebyshevBasis(centre, half, terms_for(phase, _TOLERANCE[dtype]), split)


def _splits(
    weights: Tensor, spread: float, fastest: float, turns: float, frequencies: Tensor
) -> list[tuple[float, Basis]]:
    """Ever narrower intervals around the median, with what they cost an edge: some weights lie outside.

    The counts come from an evenly spaced sample: they weigh costs, and which weights are outside is found
    exactly later.
    """
    flat = weights.reshape(-1) if weights.is_contiguous() else weights.flatten()
    sample = flat[:: max(1, flat.numel() // _SAMPLE)].double()
    centre = float(sample.median())
    distance = (sample - centre).abs()
    found: list[tuple[float, Basis]] = []
    half = spread
    for _ in range(_LADDER):
        half /= 2
        if abs(centre) + half <= turns:
            basis = _interval(centre, half, fastest, frequencies.dtype, split=True)
            outside = float((distance > basis.half).double().mean())
            found.append((basis.terms + outside * _DIRECT_COST * 2 * frequencies.numel(), basis))
            if basis.half > half * 1.1 or outside > 0.5:
                break
    return found
