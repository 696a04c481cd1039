"""Baselines that are fitted in one go: boosted trees over statistics or epochs, and the mean image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from wsgraph_encoders.baselines import layer_statistics
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks.folder import PREDICTIONS, pair_folder, write_json, write_parquet, writing
from wsgraph_encoders.tasks.lightning_extra import require_packages
from wsgraph_encoders.tasks.metrics import METRICS
from wsgraph_encoders.tasks.objectives import psnr
from wsgraph_encoders.tasks.targets import numbers, prediction_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsgraph_encoders.tasks.data import Examples
    from wsgraph_encoders.tasks.fit import Job
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.task import Task

__all__ = ["FEATURES", "Trees", "fit_baseline", "stored_statistics"]

FEATURES = "features.safetensors"
_HISTORY = {"step": pl.Int64, "epoch": pl.Int64, "split": pl.String, "metric": pl.String, "value": pl.Float64}


class Trees:
    """Gradient-boosted trees, as many as do best on the validation models (Unterthiner et al. 2020).

    Args:
        task: what they predict.
        settings: how many trees at most.
        seed: of the rows and columns that each tree sees.
    """

    def __init__(self, task: Task, settings: TrainSettings, seed: int) -> None:
        require_packages("sklearn")
        from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

        kind = GradientBoostingClassifier if task.kind == "classify" else GradientBoostingRegressor
        self.task = task
        self.count = settings.trees
        self._trees: Any = kind(
            n_estimators=settings.trees,
            learning_rate=0.05,
            max_depth=3,
            subsample=0.7,
            max_features=0.3,
            random_state=seed,
        )

    def fit(self, features: NDArray[np.float64], examples: pl.DataFrame) -> list[float]:
        """Fit to the training models; returns the validation score after each tree.

        Args:
            features: ``[models, features]``, in the order of the examples.
            examples: splits and labels.
        """
        labels, splits = numbers(examples["label"], self.task), examples["split"]
        train, val = ((splits == name).to_numpy() for name in ("train", "val"))
        self._trees.fit(features[train], labels[train])
        score, every = METRICS[self.task.metrics[0]], np.ones((1, int(val.sum())))
        scores = [
            float(np.nan_to_num(score(self._clipped(values), labels[val], every)[0]))
            for values in self._trees.staged_predict(features[val])
        ]
        self.count = int(np.argmax(scores)) + 1
        return scores

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """``[models]``."""
        for count, values in enumerate(self._trees.staged_predict(features), 1):
            if count == self.count:
                return self._clipped(values)
        raise AssertionError("fit() chose a number of trees that there are")

    def _clipped(self, values: NDArray[Any]) -> NDArray[np.float64]:
        predicted = np.atleast_1d(np.asarray(values, dtype=np.float64))  # scikit-learn squeezes one class
        return predicted.clip(0, 1) if self.task.kind == "accuracy" else predicted


def fit_baseline(job: Job, method: str, seed: int, epochs: str | None) -> None:
    """Fit ``statistics``, ``epoch`` or ``mean`` and predict for all models.

    Args:
        job: the run.
        method: which one.
        seed: of the trees.
        epochs: the column with the epochs that models were trained for, for ``epoch``.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
        EncoderError: the folder cannot be written.
    """
    folder, table = pair_folder(job.run, method, seed), job.examples.table
    config = {"method": method, "seed": seed, "task": job.task.to_json(), "settings": job.settings.to_json()}
    write_json(folder / "config.json", config)
    if method == "mean":
        values, scores = _mean_image(job.examples), list[float]()
    else:
        features = _statistics(job.run, job.examples) if method == "statistics" else _epochs(job, str(epochs))
        trees = Trees(job.task, job.settings, seed)
        scores = trees.fit(features, table)
        values = trees.predict(features)
    rows = [(n, n, "val", job.task.metrics[0], score) for n, score in enumerate(scores, 1)]
    write_parquet(folder / "history.parquet", pl.DataFrame(rows, schema=_HISTORY, orient="row"))
    predicted = dict(zip(table["id"], values.tolist(), strict=True))
    write_parquet(folder / PREDICTIONS, prediction_table(table, predicted, job.task, method, seed))


def stored_statistics(run: Path) -> NDArray[np.float64]:
    """Layer statistics of a run's models, ``[models, features]``, in the order of its examples.

    Raises:
        EncoderError: they are not there or damaged.
    """
    path = run / FEATURES
    try:
        features: NDArray[np.float64] = load_file(path)["statistics"].numpy()
    except (OSError, SafetensorError, KeyError) as error:
        raise EncoderError(
            f"{path} cannot be read: {error}", remedy="train again, in a new folder"
        ) from error
    return features


def _statistics(run: Path, examples: Examples) -> NDArray[np.float64]:
    """Layer statistics of all models; made once a run."""
    if not (run / FEATURES).is_file():
        ids = examples.table["id"].to_list()
        found = {model: layer_statistics(stream) for model, stream in examples.zoo.streams(ids)}
        with writing(run / FEATURES) as temporary:
            save_file({"statistics": torch.stack([found[model] for model in ids])}, temporary)
    return stored_statistics(run)


def _epochs(job: Job, column: str) -> NDArray[np.float64]:
    """The epochs alone, ``[models, 1]``; -1 where a model's are not known."""
    known = dict(job.examples.zoo.models.select("id", column).iter_rows())
    values = [known[model] for model in job.examples.table["id"]]
    return np.array([[-1.0 if value is None else float(value)] for value in values])


def _mean_image(examples: Examples) -> NDArray[np.float64]:
    """PSNR of the mean training image against each model's image, dB: ``[models]``."""
    splits = dict(examples.table.select("id", "split").iter_rows())
    mean = torch.stack([image for model, image in examples.targets.items() if splits[model] == "train"]).mean(
        0
    )
    images = torch.stack([examples.targets[model] for model in examples.table["id"]])
    found: NDArray[np.float64] = psnr(mean.expand_as(images), images).double().numpy()
    return found
