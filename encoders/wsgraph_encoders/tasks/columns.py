"""Which column of a zoo a task is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from wsgraph.zoo.table import MODELS
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks.task import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

__all__ = ["choose_column", "epoch_column"]

_USUAL: dict[Kind, tuple[str, ...]] = {
    "accuracy": (
        "test_accuracy", "test_acc", "accuracy", "acc", "final_accuracy", "final_acc", "val_accuracy",
        "validation_accuracy", "val_acc", "validation_acc",
    ),
    "classify": ("label", "class", "class_label", "target", "digit", "category"),
    "reconstruct": ("image",),
}  # fmt: skip
_EPOCHS = ("config.epochs", "epoch", "epochs", "config.epoch", "step", "training_iteration")


def choose_column(models: pl.DataFrame, name: str | None, label: str | None) -> tuple[Kind, str]:
    """What kind of task is meant, and its label column.

    Args:
        models: the zoo's table.
        name: a kind of task, a label column, or None where ``label`` says it.
        label: a label column, or None for the usual one of the kind.

    Raises:
        EncoderError: there is no such task or column, or none that is meant.
    """
    labels = [column for column in models.columns if column not in MODELS]
    kinds = get_args(Kind)
    if name is not None and name not in kinds:
        if name not in labels or label not in (None, name):
            raise EncoderError(
                f"there is no task and no label column {name!r}",
                remedy=f"tasks: {', '.join(kinds)}; label columns of this zoo: {_listed(labels)}",
            )
        name, label = None, name
    if label is not None:
        if label not in labels:
            raise EncoderError(f"the zoo has no label column {label!r}", remedy=f"it has {_listed(labels)}")
        return cast("Kind", name or _kind_of(models[label])), label
    if name is None:
        raise EncoderError("neither a task nor a label column is named", remedy="name one with --label")
    kind = cast("Kind", name)
    return kind, _usual(models, kind, labels)


def epoch_column(models: pl.DataFrame) -> str | None:
    """The column that says how long each model was trained; None where there is none, or all are alike."""
    for name in _EPOCHS:
        if name in models.columns and models[name].dtype.is_numeric() and models[name].n_unique() > 1:
            return name
    return None


def _kind_of(values: pl.Series) -> Kind:
    if values.name in _USUAL["classify"]:
        return "classify"
    return "regress" if values.dtype.is_numeric() else "classify"


def _usual(models: pl.DataFrame, kind: Kind, labels: Sequence[str]) -> str:
    """The one that has one of the usual names; for accuracies, else the only one with ``acc`` in its name."""
    for name in _USUAL.get(kind, ()):
        if name in labels:
            return name
    likely = [
        name
        for name in labels
        if kind == "accuracy" and "acc" in name.lower() and models[name].dtype.is_numeric()
    ]
    if len(likely) == 1:
        return likely[0]
    raise EncoderError(
        f"which label column is meant by {kind!r} is not clear",
        remedy=f"name one with --label: {_listed(likely or labels)}",
    )


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(names[:most]) or "none"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
