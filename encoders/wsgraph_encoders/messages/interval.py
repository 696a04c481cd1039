"""Which basis a block of weights is expanded in, and on which interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.messages.basis import ConstantBasis, FourierBasis, harmonic_basis
from wsgraph_encoders.messages.harmonics import fastest, frequency_key

if TYPE_CHECKING:
    from wsgraph_encoders.messages.basis import Basis, HarmonicBasis

__all__ = ["CHEAP", "choose_basis"]

_TOLERANCE = {torch.float32: 4e-7, torch.float64: 1e-12}
_MAX_TURNS = {torch.float32: 32.0, torch.float64: 1e9}
_MAX_TURNS_OF_FEW = {torch.float32: 8.0, torch.float64: 1e9}
"""Beyond so many turns the phase 2πbw itself is rounded to more than the tolerance: then the naive formula
and the expansion would both be right and yet differ, so those weights take the naive formula. Where weights
are no more than nodes (scales around one, biases) it costs little to be strict."""
_MIN_PHASE = 0.25
"""Least half-width of an interval in radians of the fastest frequency, so that tiny weights share theirs."""
CHEAP = 32
"""Terms of a basis up to which nothing else is tried."""
_DIRECT_COST = 3
"""Cost of one Fourier feature of a single edge in terms of a block: gathered and scattered edge by edge."""
_SAMPLE = 1 << 16
_GRID = 16
_FEW = 16
"""So few weights take the naive formula: nothing to save, and they are rounded as the reference rounds."""
_LADDER = 24


def choose_basis(weights: Tensor, frequencies: Tensor, *, split: bool = True) -> Basis:
    """The basis that makes a block's messages cheapest, exact for all of its weights.

    Args:
        weights: the block's weights, finite, at least one.
        frequencies: ``[F]``.
        split: whether a few weights may be left outside the interval, for :meth:`Basis.inside` to tell.
    """
    fixed, weights = not weights.requires_grad, weights.detach()
    weights = weights.float() if weights.dtype.itemsize == 1 or not weights.is_floating_point() else weights
    low, high = map(float, torch.aminmax(weights))
    if low == high and fixed:
        return ConstantBasis(low)
    direct = FourierBasis(frequencies)
    if weights.numel() <= _FEW:
        return direct
    key, dtype = frequency_key(frequencies), frequencies.dtype
    turns = (_MAX_TURNS if split else _MAX_TURNS_OF_FEW)[dtype] / (fastest(key) / (2 * math.pi))
    candidates: list[tuple[float, Basis]] = [(direct.terms * 1.5, direct)]
    if max(abs(low), abs(high)) <= turns:
        whole = _interval((low + high) / 2, (high - low) / 2, key, dtype, split=False)
        if whole is not None and whole.terms <= CHEAP:
            return whole
        candidates += [(whole.terms, whole)] if whole is not None else []
    if split:
        candidates += _splits(weights, high - low, key, turns, frequencies)
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _interval(
    centre: float, half: float, key: bytes, dtype: torch.dtype, *, split: bool
) -> HarmonicBasis | None:
    """An interval that holds ``centre`` ± ``half``, on a grid: blocks with similar weights share theirs.

    What is worked out for an interval is kept, so that the next block, or the next network, need not.
    """
    half = max(half, _MIN_PHASE / fastest(key))
    if abs(centre) < half / 32:
        centre, half = 0.0, half + abs(centre)
    else:
        grid = 2.0 ** math.floor(math.log2(half) - 4)
        half += abs(centre - round(centre / grid) * grid)
        centre = round(centre / grid) * grid
    # Powers of two stay what they are: initial weights often have one.
    half = 2.0 ** (math.ceil(math.log2(half) * _GRID - 1e-9) / _GRID)
    return harmonic_basis(key, dtype, (centre, half), _TOLERANCE[dtype], split=split)


def _splits(
    weights: Tensor, spread: float, key: bytes, turns: float, frequencies: Tensor
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
            basis = _interval(centre, half, key, frequencies.dtype, split=True)
            if basis is None:
                continue
            outside = float((distance > basis.half).double().mean())
            found.append((basis.terms + outside * _DIRECT_COST * 2 * frequencies.numel(), basis))
            if basis.half > half * 1.1 or outside > 0.5:
                break
    return found
