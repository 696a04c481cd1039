"""Colours and names: a method looks the same in every figure, and everybody can tell the colours apart.

The colours are Okabe and Ito's, the last one Tol's: they differ in lightness too. So do the methods' markers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COLOURS", "MISSING", "Look", "looks", "metric_name"]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#882255")
"""Blue, orange, green, purple, vermilion, sky blue, black, wine."""

MISSING = "#BBBBBB"
"""For what has no label."""

_MARKERS = "osD^vP*X"

_KNOWN = (
    "dng", "static", "transformer", "statistics", "flat", "epoch", "inr2jls", "inr2jls-plain",
)  # fmt: skip
"""Methods with a colour of their own, wherever and in whichever company they are drawn."""

_METRICS = {
    "accuracy": "accuracy",
    "bce": "binary cross entropy (nats)",
    "kendall": "Kendall's τ",
    "kendall_tau": "Kendall's τ",
    "image_mse": "mean squared error",
    "loss": "loss",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "psnr": "PSNR (dB)",
    "r2": "R²",
    "rmse": "root mean squared error",
    "tau": "Kendall's τ",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a method is drawn."""

    colour: str
    marker: str


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """How to draw each method; unknown ones take what the known ones among them leave, in their order."""
    wanted = list(dict.fromkeys(methods))
    places = {method: _KNOWN.index(method) for method in wanted if method in _KNOWN}
    free = [place for place in range(len(COLOURS)) if place not in places.values()]
    others = [method for method in wanted if method not in places]
    for number, method in enumerate(others):
        places[method] = free[number] if number < len(free) else number % len(COLOURS)
    return {method: Look(COLOURS[places[method]], _MARKERS[places[method]]) for method in wanted}


def metric_name(metric: str) -> str:
    """A metric's name for people, with its unit where it has one."""
    return _METRICS.get(metric.lower(), metric.replace("_", " "))
