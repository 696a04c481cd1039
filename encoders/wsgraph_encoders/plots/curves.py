"""How training went: metrics over epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.plots.figures import new_grid, styled
from wsgraph_encoders.plots.palette import looks, metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["training_curves"]

_COLUMNS = 3
_Dashes: TypeAlias = Literal[":", "-", "--", "-."]
_DASHES: dict[str, _Dashes] = {"train": ":", "val": "-", "test": "--"}
_OTHER: _Dashes = "-."


@styled
def training_curves(history: pl.DataFrame) -> Figure:
    """A panel a metric, a colour a method: the seeds as thin lines, their mean as a thick one.

    Validation is drawn solid, training dotted.

    Args:
        history: columns ``method``, ``seed``, ``epoch``, ``split``, ``metric`` and ``value``.

    Raises:
        EncoderError: there is nothing to draw.
        MissingDependencyError: matplotlib is not installed.
    """
    table = history.with_columns(pl.col("value").cast(pl.Float64)).filter(pl.col("value").is_finite())
    # An epoch may have several steps; its mean is drawn.
    keys = ("metric", "method", "split", "seed", "epoch")
    table = table.group_by(keys, maintain_order=True).agg(pl.col("value").mean()).sort("epoch")
    metrics = history["metric"].unique(maintain_order=True).to_list()
    if not len(table):
        raise EncoderError("there is no training history to draw")
    columns = min(len(metrics), _COLUMNS)
    figure, grid = new_grid(math.ceil(len(metrics) / columns), columns, 3.4, 2.7)
    panels = [axes for row in grid for axes in row]
    for axes, metric in zip(panels, metrics, strict=False):
        _draw(axes, table.filter(pl.col("metric") == metric), history["method"])
        axes.set(xlabel="epoch", ylabel=metric_name(metric))
    for axes in panels[len(metrics) :]:
        axes.remove()
    _legend(figure, table)
    return figure


def _draw(axes: Axes, table: pl.DataFrame, methods: pl.Series) -> None:
    from matplotlib.ticker import MaxNLocator

    styles = looks(methods)
    for (method, split), own in table.group_by(["method", "split"], maintain_order=True):
        look, dashes = styles[str(method)], _DASHES.get(str(split), _OTHER)
        runs = list(own.group_by(["seed"], maintain_order=True))
        for _, run in runs:
            axes.plot(
                run["epoch"],
                run["value"],
                dashes,
                color=look.colour,
                linewidth=0.7,
                alpha=0.45,
                marker="None",
            )
        # Seeds stop early at different epochs: a mean over those left would jump where one ends.
        last = min(int(str(run["epoch"].max())) for _, run in runs)
        mean = own.filter(pl.col("epoch") <= last).group_by("epoch").agg(pl.col("value").mean()).sort("epoch")
        axes.plot(mean["epoch"], mean["value"], color=look.colour, linestyle=dashes, linewidth=1.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _legend(figure: Figure, table: pl.DataFrame) -> None:
    from matplotlib.lines import Line2D

    styles = looks(table["method"])
    handles = [Line2D([], [], color=look.colour, label=method) for method, look in styles.items()]
    splits = table["split"].unique(maintain_order=True).to_list()
    handles += [
        Line2D([], [], color="0.3", linestyle=_DASHES.get(split, _OTHER), label=split) for split in splits
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
