"""A few of the Fourier features of a scalar that give all the others on an interval.

On an interval that the fastest frequency crosses in c radians from its middle to its end, functions limited
to that band have about 2c/π degrees of freedom (Slepian and Pollak, 1961), and a few more to rounding error:
fewer than the features are, and fewer than the polynomials that it takes. Which features to keep is an
interpolative decomposition, a pivoted QR of the features' values (Cheng, Gimbutas, Martinsson and Rokhlin,
2005). The other features are combinations of those with coefficients of the order of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["Skeleton", "frequencies_of", "frequency_key", "skeleton"]

_POINTS = 40
"""Points beyond two a radian at which features are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """The features that were kept.

    Attributes:
        chosen: their numbers among sin ω_1 x ... sin ω_F x, cos ω_1 x ... cos ω_F x, ascending, K of them.
        matrix: with column 0 for the function one, the combination of one and the chosen features that each
            feature is, ``[1 + K, 1 + 2F]``, in float64.
    """

    chosen: tuple[int, ...]
    matrix: Tensor


def frequency_key(frequencies: Tensor) -> bytes:
    """The frequencies' bytes: what is worked out from them is kept under these."""
    return frequencies.detach().cpu().double().numpy().tobytes()


def frequencies_of(key: bytes) -> Tensor:
    """The frequencies ``[F]`` of a key, in float64."""
    return torch.frombuffer(bytearray(key), dtype=torch.float64)


@lru_cache(maxsize=1024)
def skeleton(key: bytes, half: float, tolerance: float) -> Skeleton:
    """The features to keep for x in [-half, half].

    Args:
        key: the frequencies; see :func:`frequency_key`.
        half: the interval's half-width.
        tolerance: root mean square of what is missing of features, relative to theirs, at any point; a
            single feature's may be √F times as large. Derivatives, relative to those of the fastest
            feature, have the same tolerance.
    """
    omega = 2 * math.pi * frequencies_of(key)
    fastest = float(omega.abs().max())
    if fastest * half > math.pi * omega.numel():  # not less than 2F degrees of freedom
        return Skeleton(tuple(range(2 * omega.numel())), torch.eye(2 * omega.numel() + 1, dtype=torch.float64))
    count = math.ceil(2 * fastest * half) + _POINTS
    x = half * torch.cos(math.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count)
    phase = x.unsqueeze(1) * omega
    one, slope = torch.ones(count, 1, dtype=torch.float64), omega / max(fastest, 1e-300)
    values = torch.cat([one, phase.sin(), phase.cos()], 1)
    slopes = torch.cat([0 * one, slope * phase.cos(), -slope * phase.sin()], 1)
    both = torch.stack([values, slopes])
    columns = [0, *sorted(_pivots(both, tolerance))]
    flat = both.flatten(0, 1)
    matrix = torch.linalg.lstsq(flat[:, columns], flat).solution
    return Skeleton(tuple(column - 1 for column in columns[1:]), matrix)


def _pivots(both: Tensor, tolerance: float) -> list[int]:
    """Columns of ``[2, points, 1 + 2F]`` that leave less than the tolerance, beside column 0.

    Each is the one with the most that the columns before it cannot explain.
    """
    found: list[int] = []
    left = _without(both.clone(), 0)
    features = left.shape[2] - 1
    # Features are sines and cosines: the sum of their squares at a point is F.
    allowed = tolerance**2 * features / 2
    while len(found) < features and float(left.square().sum(2).max()) > allowed:
        column = int(left.square().sum((0, 1)).argmax())
        found.append(column)
        left = _without(left, column)
    return found


def _without(left: Tensor, column: int) -> Tensor:
    """What is orthogonal to a column."""
    direction = left[:, :, column] / left[:, :, column].norm()
    return left - direction.unsqueeze(2) * torch.einsum("dp,dpc->c", direction, left)
