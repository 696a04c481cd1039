"""Scores of predictions, with bootstrap intervals over the models.

A bootstrap sample is how often each model was drawn. All scores are sums over models, or pairs of models,
so that a thousand samples are a matrix product with their counts, and equal what repeating the models would
give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["METRICS", "Score", "bootstrap", "tau_b"]

_Floats: TypeAlias = "NDArray[np.float64]"
_Metric: TypeAlias = "Callable[[_Floats, _Floats, _Floats], _Floats]"

_ROWS = 512
"""Models whose pairs with all others are looked at together: memory is this times the number of models."""


def tau_b(predicted: _Floats, true: _Floats, counts: _Floats) -> _Floats:
    """Kendall's rank correlation with ties (tau-b) of each sample; NaN where all predictions are alike.

    Args:
        predicted: ``[n]``.
        true: ``[n]``.
        counts: how often each sample has each model, ``[samples, n]``.

    Returns:
        ``[samples]``.
    """
    totals = np.zeros((3, len(counts)))
    for start in range(0, len(true), _ROWS):
        rows = slice(start, start + _ROWS)
        sign_p = np.sign(predicted[rows, None] - predicted)
        sign_t = np.sign(true[rows, None] - true)
        for place, pairs in enumerate((sign_p * sign_t, np.abs(sign_p), np.abs(sign_t))):
            totals[place] += (counts[:, rows] * (counts @ pairs.T)).sum(1)
    concordant, pairs_p, pairs_t = totals
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(concordant / np.sqrt(pairs_p * pairs_t))


def _r2(predicted: _Floats, true: _Floats, counts: _Floats) -> _Floats:
    """Share of the labels' variance that is explained; NaN where all labels are alike."""
    mean = counts @ true / counts.sum(1)
    around = counts @ true**2 / counts.sum(1) - mean**2
    with np.errstate(invalid="ignore", divide="ignore"):
        explained = 1 - _mean((predicted - true) ** 2, counts) / around
    return np.where(around > 1e-15 * (1 + mean**2), explained, np.nan)


def _mse(predicted: _Floats, true: _Floats, counts: _Floats) -> _Floats:
    return _mean((predicted - true) ** 2, counts)


def _accuracy(predicted: _Floats, true: _Floats, counts: _Floats) -> _Floats:
    return _mean((predicted == true).astype(np.float64), counts)


def _psnr(
    predicted: _Floats,
    true: _Floats,  # noqa: ARG001  predictions of images are their PSNRs
    counts: _Floats,
) -> _Floats:
    return _mean(predicted, counts)


def _image_mse(
    predicted: _Floats,
    true: _Floats,  # noqa: ARG001  likewise
    counts: _Floats,
) -> _Floats:
    return _mean(10 ** (-predicted / 10), counts)


def _mean(values: _Floats, counts: _Floats) -> _Floats:
    return np.asarray(counts @ values / counts.sum(1))


METRICS: dict[str, _Metric] = {
    "tau": tau_b,
    "r2": _r2,
    "mse": _mse,
    "accuracy": _accuracy,
    "psnr": _psnr,
    "image_mse": _image_mse,
}
"""By name: functions of predictions ``[n]``, labels ``[n]`` and counts ``[samples, n]`` to ``[samples]``."""


@dataclass(frozen=True, slots=True)
class Score:
    """A metric over seeds and models.

    Attributes:
        mean: of the seeds.
        low: 2.5 % of the bootstrap samples, of the mean over the seeds, are below.
        high: 2.5 % are above.
        seeds: the metric of each seed, on all models.
    """

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]


def bootstrap(
    metric: str,
    predicted: Sequence[_Floats],
    true: _Floats,
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Score:
    """A metric with its 95 % percentile interval; models are drawn with replacement, for all seeds alike.

    Args:
        metric: of ``METRICS``.
        predicted: of each seed, ``[n]``.
        true: labels ``[n]``.
        samples: how many.
        seed: of the draw.
    """
    n, score = len(true), METRICS[metric]
    draw = np.random.default_rng(seed)
    counts = draw.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)
    every = np.ones((1, n))
    seeds = tuple(float(score(values, true, every)[0]) for values in predicted)
    resampled = np.mean([score(values, true, counts) for values in predicted], axis=0)
    defined = resampled[np.isfinite(resampled)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (np.nan, np.nan)
    return Score(float(np.mean(seeds)), float(low), float(high), seeds)
