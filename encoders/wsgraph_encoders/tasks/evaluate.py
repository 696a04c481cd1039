"""``wsgraph evaluate``: every method beside the baselines, on the same models and seeds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks.folder import (
    METRICS,
    PREDICTIONS,
    pair_folder,
    read_parquet,
    write_json,
    write_parquet,
)
from wsgraph_encoders.tasks.metrics import bootstrap
from wsgraph_encoders.tasks.run import load_run
from wsgraph_encoders.tasks.targets import numbers

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from wsgraph_encoders.tasks.metrics import Score
    from wsgraph_encoders.tasks.run import Run
    from wsgraph_encoders.tasks.task import Task

__all__ = ["OURS", "evaluate_run", "verdict"]

OURS = ("dng", "inr2jls")
"""Methods that the others are baselines of."""

_COLUMNS = ("id", "split", "label", "method", "seed", "prediction")


def evaluate_run(path: str | PathLike[str], *, split: str = "test", samples: int = 1000) -> dict[str, Any]:
    """Score all finished methods and seeds; write ``metrics.json`` and ``predictions.parquet``.

    Args:
        path: the run's folder.
        split: whose models count.
        samples: of the bootstrap.

    Returns:
        For each method and metric: mean over seeds, low and high end of the 95 % interval, and ``seeds``.

    Raises:
        EncoderError: the folder is no run, or nothing in it is finished.
    """
    run = load_run(path)
    if not run.pairs:
        raise EncoderError(f"nothing is trained yet in {run.path}", remedy="run wsgraph train again")
    tables = [
        read_parquet(pair_folder(run.path, method, seed) / PREDICTIONS, _COLUMNS)
        for method, seed in run.pairs
    ]
    predictions = pl.concat(tables)
    write_parquet(run.path / PREDICTIONS, predictions)
    chosen = predictions.filter(pl.col("split") == split)
    if not len(chosen):
        raise EncoderError(f"no model of {run.path} is in the split {split!r}")
    metrics = {
        method: {name: _json(score) for name, score in _scores(run, method, chosen, samples).items()}
        for method in run.methods
    }
    write_json(run.path / METRICS, metrics)
    return metrics


def _scores(run: Run, method: str, predictions: pl.DataFrame, samples: int) -> dict[str, Score]:
    own = predictions.filter(pl.col("method") == method)
    seeds = [own.filter(pl.col("seed") == seed) for seed in run.seeds_of(method)]
    true = _values(seeds[0]["label"], run.task)
    predicted = [_values(table["prediction"], run.task) for table in seeds]
    names = {name: name for name in run.task.metrics}
    if run.task.kind == "reconstruct":
        names["mse"] = "image_mse"
    return {name: bootstrap(metric, predicted, true, samples=samples) for name, metric in names.items()}


def _values(column: pl.Series, task: Task) -> NDArray[np.float64]:
    if task.kind == "reconstruct" and column.name == "label":
        return np.zeros(len(column))  # an image's number; scores of images need no label
    return numbers(column, task)


def _json(score: Score) -> dict[str, Any]:
    """A score that is not defined, such as the rank correlation of equal predictions, is null."""
    found = asdict(score)
    clean = {name: _number(found[name]) for name in ("mean", "low", "high")}
    return clean | {"seeds": [_number(value) for value in found["seeds"]]}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def verdict(task: Task, metrics: dict[str, Any]) -> str:
    """Which method is best by the metric that decides, said also where it is a baseline."""
    metric = task.metrics[0]
    means = {method: scores[metric]["mean"] for method, scores in metrics.items()}
    ranked = sorted(((mean, method) for method, mean in means.items() if mean is not None), reverse=True)
    if not ranked:
        return f"{metric} is not defined for any method"
    best, winner = ranked[0]
    ours = [(score, method) for score, method in ranked if method.split("-")[0] in OURS]
    if not ours:
        return f"best by {metric}: {winner}, {best:.3f}"
    if len(ranked) == 1:
        return f"best by {metric}: {winner}, {best:.3f}; no other method is finished"
    other = ranked[1] if winner == ours[0][1] else ours[0]
    low, high = metrics[winner][metric]["low"], metrics[other[1]][metric]["high"]
    overlap = "; their intervals overlap" if None not in (low, high) and high >= low else ""
    if winner == ours[0][1]:
        return f"best by {metric}: {winner}, {best:.3f}, before {other[1]}, {other[0]:.3f}{overlap}"
    return f"a baseline wins: {winner} has {metric} {best:.3f}, {other[1]} {other[0]:.3f}{overlap}"
