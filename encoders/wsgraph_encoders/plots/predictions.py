"""Predicted against true: a scatter for numbers, a confusion matrix for classes, one panel a method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.plots.figures import new_grid, styled
from wsgraph_encoders.plots.palette import looks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion", "predicted_against_true"]

_COLUMNS = 3
_MOST_CLASSES = 20


@styled
def predicted_against_true(
    predictions: pl.DataFrame, label: str = "label", notes: Mapping[str, str] | None = None
) -> Figure:
    """A point a model: the mean prediction of all seeds over the true value, with the diagonal.

    Args:
        predictions: columns ``id``, ``label``, ``method`` and ``prediction``, a row a model, method and seed.
        label: what is predicted, with its unit, for the axes.
        notes: a line below a method's name, such as its Kendall's τ.

    Raises:
        EncoderError: there is nothing to draw, or the label is no number.
        MissingDependencyError: matplotlib is not installed.
    """
    if not predictions["label"].dtype.is_numeric() or not predictions["prediction"].dtype.is_numeric():
        raise EncoderError("predicted-against-true needs labels and predictions that are numbers")
    table = predictions.with_columns(pl.col("label", "prediction").cast(pl.Float64))
    table = table.filter(pl.col("label").is_finite() & pl.col("prediction").is_finite())
    means = table.group_by("method", "id", maintain_order=True).agg(pl.col("label", "prediction").mean())
    methods = _methods(means)
    low, high = _range(means)
    figure, panels = _panels(len(methods))
    for axes, (method, look) in zip(panels, looks(methods).items(), strict=True):
        own = means.filter(pl.col("method") == method)
        axes.plot([low, high], [low, high], color="0.5", linewidth=0.8, linestyle="--", zorder=1)
        axes.scatter(
            own["label"],
            own["prediction"],
            s=16,
            color=look.colour,
            marker=look.marker,
            alpha=0.6,
            linewidths=0,
            zorder=2,
        )
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", title=_title(method, notes))
    figure.supxlabel(f"true {label}", fontsize=9)
    figure.supylabel(f"predicted {label}", fontsize=9)
    return figure


@styled
def confusion(
    predictions: pl.DataFrame, label: str = "label", notes: Mapping[str, str] | None = None
) -> Figure:
    """Shares of each true class that are predicted as each class, over all seeds; rows sum to one.

    Args:
        predictions: columns ``label``, ``method`` and ``prediction``; classes of any type.
        label: what the classes are.
        notes: a line below a method's name, such as its accuracy.

    Raises:
        EncoderError: there is nothing to draw, or there are more than 20 classes.
        MissingDependencyError: matplotlib is not installed.
    """
    table = predictions.select("label", "prediction", "method").drop_nulls()
    methods = _methods(table)
    classes = sorted({*table["label"], *table["prediction"]})
    if len(classes) > _MOST_CLASSES:
        raise EncoderError(f"a confusion matrix of {len(classes)} classes cannot be read; 20 are the most")
    figure, panels = _panels(len(methods))
    for axes, method in zip(panels, methods, strict=True):
        own = table.filter(pl.col("method") == method)
        image = axes.imshow(_shares(own, classes), vmin=0, vmax=1, cmap="Blues")
        axes.grid(visible=False)
        axes.set_xticks(range(len(classes)), [str(c) for c in classes])
        axes.set_yticks(range(len(classes)), [str(c) for c in classes])
        axes.set(title=_title(method, notes))
    figure.colorbar(image, ax=panels, label="share of the true class", shrink=0.8)
    figure.supxlabel(f"predicted {label}", fontsize=9)
    figure.supylabel(f"true {label}", fontsize=9)
    return figure


def _methods(table: pl.DataFrame) -> list[str]:
    methods: list[str] = table["method"].unique(maintain_order=True).to_list()
    if not methods:
        raise EncoderError("there are no predictions to draw")
    return methods


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """As many axes as there are methods, at most three a row, without empty ones."""
    columns = min(count, _COLUMNS)
    figure, grid = new_grid(math.ceil(count / columns), columns, 2.6, 2.8, shared=True)
    flat = [axes for row in grid for axes in row]
    for axes in flat[count:]:
        axes.remove()
    for axes in flat[max(count - columns, 0) : count]:
        axes.tick_params(labelbottom=True)
    return figure, flat[:count]


def _range(means: pl.DataFrame) -> tuple[float, float]:
    """Limits that hold all labels, and predictions up to half their range beyond them."""
    labels = [float(value) for value in means["label"]]
    low, high = min(labels), max(labels)
    margin = (high - low) / 2 or 1.0
    predicted = [float(value) for value in means["prediction"]]
    low, high = (
        min(low, max(low - margin, min(predicted))),
        max(high, min(high + margin, max(predicted))),
    )
    pad = 0.04 * (high - low) or 0.04
    return low - pad, high + pad


def _title(method: str, notes: Mapping[str, str] | None) -> str:
    note = (notes or {}).get(method)
    return method if not note else f"{method}\n{note}"


def _shares(own: pl.DataFrame, classes: Sequence[object]) -> list[list[float]]:
    counts = dict.fromkeys(((true, found) for true in classes for found in classes), 0)
    for true, found in own.select("label", "prediction").iter_rows():
        counts[true, found] += 1
    totals = {true: sum(counts[true, found] for found in classes) for true in classes}
    return [[counts[true, found] / max(totals[true], 1) for found in classes] for true in classes]
