"""All figures of a run that ``wsgraph evaluate`` has scored.

What is read: ``run.json`` (the task), ``predictions.parquet``, ``metrics.json``, and in each method's and
seed's folder ``<method>-<seed>`` the files ``history.parquet`` and ``images.safetensors``; of the files that
are missing there are no figures. ``embeddings.parquet``, where ``wsgraph encode`` has put one there, is drawn
as a map.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.plots.curves import training_curves
from wsgraph_encoders.plots.embeddings import embedding_map
from wsgraph_encoders.plots.figures import write_figure
from wsgraph_encoders.plots.images import image_grid
from wsgraph_encoders.plots.predictions import confusion, predicted_against_true
from wsgraph_encoders.plots.scores import score_intervals
from wsgraph_encoders.tasks.folder import read_json, read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = ["write_evaluation_plots"]

_LOWER_IS_BETTER = ("bce", "loss", "mae", "mse", "rmse")
_NOTES = {"tau": "τ", "accuracy": "accuracy", "psnr": "PSNR"}
_SCORE: dict[str, Any] = {
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "seeds": pl.List(pl.Float64),
}
_MOST_CLASSES = 20


def write_evaluation_plots(
    run_folder: str | PathLike[str], *, split: str = "test", formats: tuple[str, ...] = ("png", "svg")
) -> list[Path]:
    """Draw what a run's folder holds, into its sub-folder ``plots``.

    Args:
        run_folder: the run.
        split: whose predictions are drawn.
        formats: of ``png`` and ``svg``.

    Returns:
        The files written.

    Raises:
        EncoderError: a file of the run is damaged, or a figure cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    run = Path(run_folder)
    written = []
    for name, figure in _figures(run, split):
        for kind in formats:
            path = run / "plots" / f"{name}.{kind}"
            write_figure(figure, path)
            written.append(path)
    return written


def _figures(run: Path, split: str) -> Iterator[tuple[str, Figure]]:
    task, metrics = _present(run / "run.json").get("task", {}), _present(run / "metrics.json")
    label = str(task.get("label", "label"))
    if (run / "predictions.parquet").is_file():
        predictions = read_parquet(run / "predictions.parquet").filter(pl.col("split") == split)
        yield from _prediction_figures(predictions, metrics, label)
    for metric in dict.fromkeys(name for scores in metrics.values() for name in scores):
        scores = _scores(metrics, metric)
        if scores["mean"].is_not_null().any():
            lower = metric.rpartition("_")[2] in _LOWER_IS_BETTER
            yield f"scores_{metric}", score_intervals(scores, metric, lower_is_better=lower)
    if history := list(_histories(run)):
        table = pl.concat(history, how="diagonal_relaxed")
        if table["value"].is_finite().any():
            yield "training_curves", training_curves(table)
    if images := _images(run):
        yield "reconstructions", image_grid(images.pop("true"), images)
    if (run / "embeddings.parquet").is_file():
        embeddings = read_parquet(run / "embeddings.parquet")
        if label in embeddings.columns and len(embeddings) >= 3:
            yield "embeddings", embedding_map(embeddings, label)


def _prediction_figures(
    predictions: pl.DataFrame, metrics: dict[str, Any], label: str
) -> Iterator[tuple[str, Figure]]:
    measured = {name for scores in metrics.values() for name in scores}
    notes = {method: _note(scores) for method, scores in metrics.items()}
    if not len(predictions):
        return
    if "accuracy" in measured:
        if predictions["label"].n_unique() <= _MOST_CLASSES:
            yield "confusion", confusion(predictions, label, notes)
    elif measured & {"tau", "r2"}:
        yield "predicted_against_true", predicted_against_true(predictions, label, notes)


def _note(scores: dict[str, dict[str, Any]]) -> str:
    """The metric that decides, which is the first, with its interval."""
    metric = next(iter(scores), "")
    score = scores.get(metric, {})
    if score.get("mean") is None:
        return ""
    name, text = _NOTES.get(metric, metric), f"{score['mean']:.3f}"
    if score.get("low") is None or score.get("high") is None:
        return f"{name} = {text}"
    return f"{name} = {text} [{score['low']:.3f}, {score['high']:.3f}]"


def _scores(metrics: dict[str, Any], metric: str) -> pl.DataFrame:
    rows = [{"method": method, **scores[metric]} for method, scores in metrics.items() if metric in scores]
    return pl.DataFrame(rows, schema={"method": pl.String, **_SCORE}, strict=False)


def _pairs(run: Path, name: str) -> Iterator[tuple[str, int, Path]]:
    """Method, seed and path of a file in each pair's folder, in the order of the methods' names and seeds."""
    found = [(re.fullmatch(r"(.+)-(\d+)", path.parent.name), path) for path in run.glob(f"*/{name}")]
    yield from sorted((match[1], int(match[2]), path) for match, path in found if match)


def _histories(run: Path) -> Iterator[pl.DataFrame]:
    """Of what is trained in epochs: trees have no loss, and their steps are no epochs."""
    for method, seed, path in _pairs(run, "history.parquet"):
        table = read_parquet(path)
        if (table["metric"] == "loss").any():
            yield table.with_columns(method=pl.lit(method), seed=pl.lit(seed))


def _images(run: Path) -> dict[str, Tensor]:
    """The true images and each method's, of its first seed; methods that showed others are left out."""
    images: dict[str, Tensor] = {}
    for method, _, path in _pairs(run, "images.safetensors"):
        try:
            stored = load_file(path)
            true, shown = stored["true"], stored["shown"]
        except (SafetensorError, OSError, KeyError) as error:
            raise EncoderError(f"{path} cannot be read: {error}") from error
        images.setdefault("true", true)
        if true.equal(images["true"]):
            images.setdefault(method, shown)
    return images


def _present(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no file."""
    return read_json(path) if path.is_file() else {}
