"""One metric of every method beside each other, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.plots.figures import new_figure, styled
from wsgraph_encoders.plots.palette import looks, metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["score_intervals"]


@styled
def score_intervals(scores: pl.DataFrame, metric: str, *, lower_is_better: bool = False) -> Figure:
    """A row a method, the best on top: mean, interval, and each seed as a small dot.

    Args:
        scores: columns ``method``, ``mean``, ``low``, ``high`` and ``seeds`` (a list of the seeds' values).
        metric: what is measured.
        lower_is_better: order the methods the other way round.

    Raises:
        EncoderError: no method has a finite mean.
        MissingDependencyError: matplotlib is not installed.
    """
    finite = scores.filter(pl.col("mean").is_finite())
    if not len(finite):
        raise EncoderError(f"no method has a {metric} to draw")
    table = finite.sort("mean", descending=not lower_is_better, maintain_order=True)
    figure, axes = new_figure(5.5, 0.9 + 0.42 * len(table))
    styles = looks(scores["method"])
    for place, row in enumerate(table.iter_rows(named=True)):
        look, mean = styles[row["method"]], row["mean"]
        seeds = [value for value in row["seeds"] or () if value is not None and math.isfinite(value)]
        axes.plot(seeds, [place + 0.22] * len(seeds), "|", color=look.colour, alpha=0.7, markersize=6)
        axes.errorbar(
            mean,
            place,
            xerr=[[_reach(mean, row["low"])], [_reach(row["high"], mean)]],
            fmt=look.marker,
            color=look.colour,
            capsize=3,
            markersize=6,
        )
        axes.annotate(
            f"{mean:.3g}", (mean, place), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_yticks(range(len(table)), table["method"].to_list())
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel(
        f"{metric_name(metric)} ({'lower' if lower_is_better else 'higher'} is better; bars: interval, "
        "ticks: seeds)"
    )
    return figure


def _reach(high: float | None, low: float | None) -> float:
    """How far an interval reaches; nothing where it has no end."""
    if high is None or low is None or not math.isfinite(high - low):
        return 0.0
    return max(high - low, 0.0)
