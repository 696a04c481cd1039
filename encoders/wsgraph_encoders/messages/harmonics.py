"""Fourier features on an interval as combinations of the harmonics of one frequency.

Functions of x in [-h, h] whose frequencies are at most ω have about 2ωh/π degrees of freedom, and a few more
to rounding error (Slepian and Pollak, 1961): fewer than the Fourier features are, and fewer than the
polynomials that it takes. One, and the sines and cosines of x·ω/J, 2x·ω/J ... ω·x or a little more, come
within a few functions of that. They are a Fourier series over a period longer than the interval (a Fourier
extension, as Huybrechs, 2010, calls it), cheap to make for many x, with coefficients of the order of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from wsgraph_encoders.messages.remembered import Remembered

__all__ = ["Harmonics", "fastest", "frequencies_of", "frequency_key", "harmonics", "harmonics_of"]

_POINTS = 40
"""Points beyond two a radian at which functions are compared."""
_REACHES = 1.0, 1.1, 1.25
"""The highest harmonic, in terms of the fastest frequency: which one does best depends on the frequencies."""
_LARGEST = 8.0
"""Most that the coefficients of a feature may sum to: rounding errors of the harmonics grow by so much."""
_FEW = 1 << 13
"""Values up to which few calls matter more than few sines."""


@dataclass(frozen=True, slots=True, eq=False)
class Harmonics:
    """The expansion of the Fourier features on an interval.

    Attributes:
        step: the lowest of the angular frequencies, about ω/J.
        count: their number J.
        matrix: from one and the Fourier features to one, J sines and J cosines, ``[1 + 2J, 1 + 2F]``, in
            float64: the columns are coefficients.
    """

    step: float
    count: int
    matrix: Tensor


def _bytes_of(frequencies: Tensor) -> bytes:
    return frequencies.detach().cpu().double().numpy().tobytes()


frequency_key = Remembered(_bytes_of)
"""The frequencies' bytes: what is worked out from them is kept under these."""


def frequencies_of(key: bytes) -> Tensor:
    """The frequencies ``[F]`` of a key, in float64."""
    return torch.frombuffer(bytearray(key), dtype=torch.float64)


@lru_cache(maxsize=64)
def fastest(key: bytes) -> float:
    """The greatest angular frequency of a key; a small one where all are zero."""
    return 2 * math.pi * max(float(frequencies_of(key).abs().max()), 1e-6)


@lru_cache(maxsize=1024)
def harmonics(key: bytes, half: float, tolerance: float) -> Harmonics | None:
    """The fewest harmonics that give the features for x in [-half, half], or None where features are fewer.

    Args:
        key: the frequencies; see :func:`frequency_key`.
        half: the interval's half-width.
        tolerance: root mean square of the features' errors, relative to theirs, at any point; a single
            feature's may be √F times as large. Derivatives, relative to those of the fastest feature, have
            the same tolerance.
    """
    omega, top = 2 * math.pi * frequencies_of(key), fastest(key)
    # Of so few the period would be shorter than the interval; of so many they would be as many as features.
    too_few, enough = math.floor(top * half / math.pi) + 1, len(omega)
    if too_few + 1 >= enough:
        return None
    points = math.ceil(2 * top * half) + _POINTS
    x = half * torch.cos(math.pi * (torch.arange(points, dtype=torch.float64) + 0.5) / points)
    wanted = _with_slopes(x, omega, top)
    found, stride = None, 4
    while too_few + 1 < enough:
        # Ever more until some are enough, then halfway between.
        count = min(too_few + stride, (too_few + enough) // 2)
        better = _fitted(count, x, wanted, top, tolerance)
        found, enough = (found, enough) if better is None else (better, count)
        too_few, stride = (count, 2 * stride) if better is None else (too_few, stride)
    return found


def _fitted(count: int, x: Tensor, wanted: Tensor, top: float, tolerance: float) -> Harmonics | None:
    """The expansion in so many harmonics if it is good enough."""
    for reach in _REACHES:
        step = reach * top / count
        given = _with_slopes(x, step * torch.arange(1, count + 1, dtype=torch.float64), top)
        matrix = torch.linalg.lstsq(given, wanted, rcond=tolerance / 10, driver="gelsd").solution
        error = (given @ matrix - wanted).square().sum(1).max() / (wanted.shape[1] // 2)
        size = matrix.abs().sum(0).square().mean()
        if error <= tolerance**2 and size <= _LARGEST**2:
            return Harmonics(step, count, matrix)
    return None


def _with_slopes(x: Tensor, omega: Tensor, top: float) -> Tensor:
    """One, sines and cosines at points, and under them their derivatives over ``top``."""
    phase, slope, one = x.unsqueeze(1) * omega, omega / top, torch.ones(len(x), 1, dtype=x.dtype)
    values = torch.cat([one, phase.sin(), phase.cos()], 1)
    return torch.cat([values, torch.cat([0 * one, slope * phase.cos(), -slope * phase.sin()], 1)])


def harmonics_of(x: Tensor, omega: Tensor) -> Tensor:
    """Sines, then cosines, of every x in every frequency: ``[rows, s]`` to ``[rows, 2J, s]``.

    Args:
        x: the values.
        omega: the multiples of one angular frequency, the first J, ``[J, 1]``.
    """
    if not x.requires_grad and x.numel() > _FEW:
        return _by_rotation(x * omega[0], len(omega))
    phase = x.unsqueeze(1) * omega
    return torch.cat([phase.sin(), phase.cos()], 1)


def _by_rotation(angle: Tensor, count: int) -> Tensor:
    """The first p multiples, turned by the p-th, are the next p: four operations in place of two sines."""
    rows, s = angle.shape
    out = angle.new_empty(rows, 2 * count, s)
    sine, cosine = out[:, :count], out[:, count:]
    torch.sin(angle, out=sine[:, 0])
    torch.cos(angle, out=cosine[:, 0])
    done = 1
    while done < count:
        more = min(done, count - done)
        old, new = slice(0, more), slice(done, done + more)
        sin, cos = sine[:, done - 1 : done], cosine[:, done - 1 : done]
        torch.mul(sine[:, old], cos, out=sine[:, new]).addcmul_(cosine[:, old], sin)
        torch.mul(cosine[:, old], cos, out=cosine[:, new]).addcmul_(sine[:, old], sin, value=-1)
        done += more
    return out
