"""Which models of a zoo take part in a task, with what label and in which split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import torch

from wsgraph.zoo.leakage import SPLITS, splits_of
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsgraph.zoo.reader import Zoo
    from wsgraph_encoders.tasks.task import Kind

__all__ = ["COLUMNS", "draw_examples"]

COLUMNS = ("id", "fingerprint", "split", "label")

_TRAIN, _VAL, _TEST = SPLITS
_NAMES = {
    "train": _TRAIN, "training": _TRAIN,
    "val": _VAL, "valid": _VAL, "validation": _VAL, "dev": _VAL,
    "test": _TEST, "testing": _TEST,
}  # fmt: skip
_HELD_OUT = (0.85, 0.15, 0.0)
"""Shares of training models that train and validate where a zoo has no validation split."""


def draw_examples(zoo: Zoo, kind: Kind, label: str, seed: int) -> tuple[pl.DataFrame, list[str]]:
    """The models that take part.

    Left out are models without a label, with NaN or infinite weights, and, where the zoo has splits, those
    in none of them. A zoo without splits is split by runs, one without validation models gives some of its
    training models for it.

    Args:
        zoo: the zoo.
        kind: of task.
        label: the label's column.
        seed: of splits that the zoo does not have.

    Returns:
        A table with ``COLUMNS``, and for people what was left out or assumed.

    Raises:
        EncoderError: the labels do not fit the task, or a split would be empty.
        ZooError: a shard is damaged.
    """
    notes: list[str] = []
    models = zoo.models.with_columns(pl.col(label).alias("label") if label != "label" else pl.col("label"))
    models = _kept(models, models["label"].is_not_null() & _finite(models["label"]), "without a label", notes)
    models = models.with_columns(_typed(models["label"], kind, label))
    broken = _nonfinite(zoo, models["id"].to_list())
    models = _kept(models, ~models["id"].is_in(broken), "with NaN or infinite weights", notes)
    models = _split(models, seed, notes)
    _check_sizes(zoo, models, kind, label)
    return models.select(COLUMNS), notes


def _check_sizes(zoo: Zoo, models: pl.DataFrame, kind: Kind, label: str) -> None:
    """Ranks and variances need two models."""
    least = 2 if kind in ("accuracy", "regress") else 1
    for name in SPLITS:
        found = int((models["split"] == name).sum())
        if found < least:
            raise EncoderError(
                f"the split {name!r} of {zoo.path} has {found} models with a label {label!r}, expected at "
                f"least {least}",
                remedy=f"split the zoo again, wsgraph zoo split {zoo.path}, or add models",
            )


def _kept(models: pl.DataFrame, good: pl.Series, why: str, notes: list[str]) -> pl.DataFrame:
    left_out = int((~good).sum())
    if left_out:
        notes.append(f"{left_out:,} models {why} are left out")
    return models.filter(good)


def _finite(values: pl.Series) -> pl.Series:
    if values.dtype.is_float():
        return values.is_finite().fill_null(value=False)
    return pl.Series([True] * len(values), dtype=pl.Boolean)


def _typed(values: pl.Series, kind: Kind, label: str) -> pl.Series:
    """Numbers as floats; classes and images' numbers as integers or strings.

    Raises:
        EncoderError: the values are of another sort than the task needs.
    """
    integral = values.dtype.is_integer() or values.dtype == pl.Boolean
    if kind in ("accuracy", "regress"):
        if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
            raise EncoderError(
                f"the label {label!r} is no number, but {values.dtype}",
                remedy=f"wsgraph train classify --label {label}",
            )
        return _checked(values.cast(pl.Float64), kind, label)
    if values.dtype.is_float() and bool((values == values.round()).all()):
        values, integral = values.cast(pl.Int64), True
    if not integral and values.dtype != pl.String:
        raise EncoderError(
            f"the label {label!r} holds fractions, no classes or numbers of images",
            remedy=f"wsgraph train regress --label {label}",
        )
    if kind == "classify" and not 1 < values.n_unique() <= max(2, len(values) // 2):
        raise EncoderError(
            f"the label {label!r} has {values.n_unique():,} values for {len(values):,} models: no classes",
            remedy="name another column with --label",
        )
    return values.cast(pl.Int64) if integral else values


def _checked(values: pl.Series, kind: Kind, label: str) -> pl.Series:
    if kind == "accuracy" and len(values) and not bool(values.is_between(0, 1).all()):
        raise EncoderError(
            f"an accuracy lies in [0, 1], but {label!r} goes from {values.min()!r} to {values.max()!r}",
            remedy=f"wsgraph train regress --label {label}, for any numbers",
        )
    return values


def _nonfinite(zoo: Zoo, ids: list[str]) -> list[str]:
    """Ids of models with NaN or infinite weights; reads every weight once."""
    broken: set[str] = set()
    for batch in zoo.batches(ids):
        for stack in batch.weights.values():
            if stack.is_floating_point() and stack.numel():
                wide = stack.float() if stack.dtype.itemsize == 1 else stack
                finite = torch.isfinite(wide.reshape(len(wide), -1)).all(1)
                broken |= {batch.ids[row] for row in (~finite).nonzero().flatten().tolist()}
    return sorted(broken)


def _split(models: pl.DataFrame, seed: int, notes: list[str]) -> pl.DataFrame:
    given = models["split"].str.to_lowercase().replace_strict(_NAMES, default=None)
    if given.null_count() == len(models):
        notes.append(f"the zoo has no splits: 70 % train, 15 % validate, 15 % test, by runs, seed {seed}")
        return _assigned(models, models, (0.7, 0.15, 0.15), seed)
    models = models.with_columns(given.alias("split"))
    models = _kept(models, models["split"].is_not_null(), "in no split", notes)
    if not (models["split"] == _VAL).any():
        notes.append(f"the zoo has no validation split: 15 % of the training models validate, seed {seed}")
        return _assigned(models, models.filter(pl.col("split") == _TRAIN), _HELD_OUT, seed)
    return models


def _assigned(models: pl.DataFrame, some: pl.DataFrame, ratio: Iterable[float], seed: int) -> pl.DataFrame:
    """The models, some of them in newly drawn splits; runs and equal models stay together."""
    drawn = splits_of(some, tuple(ratio), seed)
    return models.with_columns(
        pl.Series("split", [drawn.get(m, s) for m, s in models.select("id", "split").iter_rows()], pl.String)
    )
