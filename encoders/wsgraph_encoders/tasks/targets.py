"""Labels as numbers, and predictions as labels again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from wsgraph.zoo.training.images import load_images
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsgraph_encoders.tasks.task import Task

__all__ = ["labels_of", "load_pictures", "numbers", "prediction_table", "targets_of"]

_SHIPPED = ("mnist", "digits")


def numbers(labels: pl.Series, task: Task) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Labels as floats: numbers themselves, classes by their place in ``task.classes``."""
    if task.kind == "classify":
        places = {value: place for place, value in enumerate(task.classes)}
        return np.array([places[value] for value in labels.to_list()], dtype=np.float64)
    return labels.cast(pl.Float64).to_numpy()


def labels_of(values: Sequence[float], task: Task) -> list[float] | list[str | int]:
    """Predictions as labels: classes by their names, numbers as they are."""
    if task.kind == "classify":
        return [task.classes[int(value)] for value in values]
    return [float(value) for value in values]


def prediction_table(
    examples: pl.DataFrame, predicted: dict[str, float], task: Task, method: str, seed: int
) -> pl.DataFrame:
    """Columns id, split, label, method, seed, prediction, in the order of the examples.

    For ``reconstruct`` the label is the image's number and the prediction the PSNR of its reconstruction, dB.
    """
    values = labels_of([predicted[model] for model in examples["id"]], task)
    return examples.select("id", "split", "label").with_columns(
        pl.lit(method).alias("method"),
        pl.lit(seed, dtype=pl.Int64).alias("seed"),
        pl.Series("prediction", values),
    )


def targets_of(examples: pl.DataFrame, task: Task) -> dict[str, Tensor]:
    """What is learned about each model, by id: a number, a class, or an image ``[channels, h, w]``.

    Raises:
        EncoderError: there is no image of a number.
    """
    ids = examples["id"].to_list()
    if task.kind == "reconstruct":
        pictures = load_pictures(task.images)
        rows = examples["label"].cast(pl.Int64, strict=False)
        if rows.null_count() or not bool(rows.is_between(0, len(pictures) - 1).all()):
            raise EncoderError(
                f"the label {task.label!r} goes from {rows.min()!r} to {rows.max()!r}, but there are "
                f"{len(pictures):,} images in {task.images}",
                remedy="name the file of images with --images, or the column of their numbers with --label",
            )
        return {model: pictures[row] for model, row in zip(ids, rows.to_list(), strict=True)}
    values = torch.from_numpy(numbers(examples["label"], task).copy())
    values = values.long() if task.kind == "classify" else values.float()
    return dict(zip(ids, values, strict=True))


def load_pictures(source: str) -> Tensor:
    """Images ``[n, channels, h, w]`` in [0, 1], float32.

    Args:
        source: ``mnist`` or ``digits``, in the order in which ``wsgraph zoo train siren`` numbers them, or a
            ``.npy`` file ``[n, h, w]`` or ``[n, h, w, channels]``, bytes or numbers in [0, 1].

    Raises:
        EncoderError: the file cannot be read or holds something else.
        MissingDependencyError: the package that has the images is not installed.
    """
    if source in _SHIPPED:
        shipped = load_images("mnist" if source == "mnist" else "digits")
        return torch.cat([shipped.train, shipped.test])
    try:
        found = np.load(Path(source), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"images cannot be read from {source}: {error}",
            remedy=f"--images takes {', '.join(_SHIPPED)} or a .npy file [n, h, w] or [n, h, w, channels]",
        ) from error
    if found.ndim not in (3, 4) or found.dtype.kind not in "uif" or not found.size:
        raise EncoderError(
            f"{source} holds {found.dtype!s} {list(found.shape)}, expected images [n, h, w, channels]"
        )
    scale = 255 if found.dtype.kind in "ui" else 1
    images = torch.from_numpy(found.astype(np.float32)) / scale
    return images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
