"""Interpolation weights of ONNX's Resize, one dimension at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sampling", "weights"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a dimension is resampled; the names are those of the operator's attributes.

    Attributes:
        mode: ``nearest``, ``linear`` or ``cubic``.
        transform: ``coordinate_transformation_mode``.
        rounding: ``nearest_mode``.
        cubic: ``cubic_coeff_a``.
        antialias: whether the kernel is widened when shrinking.
        exclude_outside: whether positions outside the input weigh nothing.
        fill: ``extrapolation_value``.
    """

    mode: str = "nearest"
    transform: str = "half_pixel"
    rounding: str = "round_prefer_floor"
    cubic: float = -0.75
    antialias: bool = False
    exclude_outside: bool = False
    fill: float = 0.0


def weights(
    sampling: Sampling, size: int, target: int, factor: float, region: tuple[float, float] | None
) -> tuple[Tensor, Tensor]:
    """The matrix ``[target, size]`` that resamples a dimension, and what is added to each position.

    Args:
        sampling: how.
        size: positions before.
        target: positions after.
        factor: the scale, which need not be ``target / size`` exactly.
        region: start and end of the part of the input that is used (``tf_crop_and_resize``), from 0 to 1.
    """
    matrix, added = torch.zeros(target, size, dtype=torch.float64), torch.zeros(target, dtype=torch.float64)
    for k in range(target):
        place = _coordinate(sampling.transform, k, size, target, factor, region)
        if sampling.transform == "tf_crop_and_resize" and not 0 <= place <= size - 1:
            added[k] = sampling.fill
            continue
        for tap, weight in _taps(sampling, place, size, factor):
            matrix[k, min(max(tap, 0), size - 1)] += weight
    return matrix, added


def _coordinate(
    transform: str, k: int, size: int, target: int, factor: float, region: tuple[float, float] | None
) -> float:
    """Where an output position lies in the input."""
    centre = (k + 0.5) / factor
    if transform == "align_corners":
        place = k * (size - 1) / (factor * size - 1) if target > 1 else 0.0
    elif transform == "asymmetric":
        place = k / factor
    elif transform == "pytorch_half_pixel":
        place = centre - 0.5 if target > 1 else 0.0
    elif transform == "half_pixel_symmetric":
        place = size / 2 * (1 - target / (factor * size)) + centre - 0.5
    elif transform == "tf_crop_and_resize":
        start, end = region or (0.0, 1.0)
        step = (end - start) * (size - 1) / (target - 1) if target > 1 else 0.0
        place = start * (size - 1) + k * step if target > 1 else 0.5 * (start + end) * (size - 1)
    else:  # half_pixel, and tf_half_pixel_for_nn, which leaves the half out
        place = centre if transform == "tf_half_pixel_for_nn" else centre - 0.5
    return place


def _taps(sampling: Sampling, place: float, size: int, factor: float) -> list[tuple[int, float]]:
    """Positions read for one output position, with their weights."""
    if sampling.mode == "nearest":
        return [(_rounded(place, sampling.rounding), 1.0)]
    reach = 1 if sampling.mode == "linear" else 2
    shrink = min(factor, 1.0) if sampling.antialias else 1.0
    first, last = math.floor(place - reach / shrink) + 1, math.ceil(place + reach / shrink) - 1
    taps = []
    for tap in range(first, last + 1):
        weight = _kernel(sampling, (tap - place) * shrink)
        outside = not 0 <= tap < size
        taps.append((tap, 0.0 if outside and sampling.exclude_outside else weight))
    total = sum(weight for _, weight in taps)
    if (sampling.antialias or sampling.exclude_outside) and total:
        taps = [(tap, weight / total) for tap, weight in taps]
    return taps


def _kernel(sampling: Sampling, distance: float) -> float:
    d = abs(distance)
    if sampling.mode == "linear":
        return max(0.0, 1.0 - d)
    a = sampling.cubic
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def _rounded(place: float, rounding: str) -> int:
    if rounding == "floor":
        return math.floor(place)
    if rounding == "ceil":
        return math.ceil(place)
    half_down = rounding == "round_prefer_floor"
    return math.ceil(place - 0.5) if half_down else math.floor(place + 0.5)
