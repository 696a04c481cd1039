"""The tables of a zoo: its models and what could not be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from wsgraph.errors import ZooError
from wsgraph.zoo.layout import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "FAILURES",
    "MODELS",
    "Label",
    "append_rows",
    "label_value",
    "read_table",
    "write_table",
]

Label: TypeAlias = str | int | float | bool | None
"""A cell of a label column."""

MODELS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "fingerprint": pl.String(),
    "row": pl.Int64(),
    "run": pl.String(),
    "split": pl.String(),
    "source": pl.String(),
    "digest": pl.String(),
}
"""Columns of every table of models; label columns follow.

``row`` is the model's row among those of its fingerprint, ``run`` groups checkpoints of one training,
``source`` is the file or folder it came from, ``digest`` a hash of its weights' bits.
"""

FAILURES: dict[str, pl.DataType] = {"id": pl.String(), "source": pl.String(), "reason": pl.String()}
"""Columns of the table of failures."""


def read_table(path: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A table; an empty one where there is no file.

    Raises:
        ZooError: the file is damaged or lacks a column.
    """
    if not path.is_file():
        return pl.DataFrame(schema=dict(schema))
    try:
        table = pl.read_parquet(path, memory_map=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ZooError(f"{path} cannot be read: {error}") from error
    if wrong := [name for name, kind in schema.items() if table.schema.get(name) != kind]:
        raise ZooError(f"{path} is no table of a zoo: column {wrong[0]!r} is missing or of another type")
    return table


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Replace a table, whole or not at all.

    Raises:
        ZooError: the file system refuses.
    """
    with replacing(path) as temporary:
        table.write_parquet(temporary)


def append_rows(
    table: pl.DataFrame, rows: Sequence[Mapping[str, Label]], schema: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """The table with more rows; columns that only one side has are filled with nulls.

    A column whose types differ between the two takes the type that holds both.
    """
    if not rows:
        return table
    names = dict.fromkeys((*schema, *(name for row in rows for name in row)))
    columns = [
        pl.Series(name, [row.get(name) for row in rows], dtype=schema[name], strict=False)
        if name in schema
        else _series(name, [row.get(name) for row in rows])
        for name in names
    ]
    return pl.concat([table, pl.DataFrame(columns)], how="diagonal_relaxed")


def _series(name: str, values: list[Label]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Int64 if kinds == {int} else pl.Float64 if kinds else pl.Null)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def label_value(value: Any) -> Label:
    """A label as a table can hold it: lists and mappings as JSON text, foreign numbers as Python's."""
    if isinstance(value, bool | int | float | str) or value is None:
        return value if not isinstance(value, int) or -(2**63) <= value < 2**63 else str(value)
    if hasattr(value, "item") and getattr(value, "size", 2) in {1, ()}:
        return label_value(value.item())
    if hasattr(value, "numel"):
        return label_value(value.item()) if value.numel() == 1 else json.dumps(value.tolist())
    return json.dumps(value, default=str)
