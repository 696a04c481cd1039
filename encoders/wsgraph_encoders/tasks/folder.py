"""The files of a run's folder, and how they are written: whole, or not at all.

run.json                     format, version, the task, the zoo, the settings, methods left out
examples.parquet             id, fingerprint, split, label of every model that takes part
structures/<fingerprint>.wsg the zoo's structure, where it has one architecture only
<method>-<seed>/             config.json, checkpoints/, history.parquet, model.safetensors,
predictions.parquet; the last one is written last: it says "finished"
predictions.parquet          of all finished methods and seeds; by ``evaluate``
metrics.json                 by ``evaluate``
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from wsgraph.errors import ZooError
from wsgraph.zoo.layout import replacing
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "EXAMPLES",
    "METRICS",
    "PREDICTIONS",
    "RUN",
    "finished_pairs",
    "pair_folder",
    "read_json",
    "read_parquet",
    "write_json",
    "write_parquet",
    "writing",
]

RUN, EXAMPLES, PREDICTIONS, METRICS = "run.json", "examples.parquet", "predictions.parquet", "metrics.json"

_PAIR = re.compile(r"(?P<method>.+)-(?P<seed>\d+)")


def pair_folder(run: Path, method: str, seed: int) -> Path:
    """The folder of one method and seed."""
    return run / f"{method}-{seed}"


def finished_pairs(run: Path) -> list[tuple[str, int]]:
    """Methods and seeds whose training is done, sorted."""
    found = (_PAIR.fullmatch(path.parent.name) for path in run.glob(f"*/{PREDICTIONS}"))
    return sorted((match["method"], int(match["seed"])) for match in found if match)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, renamed to it in the end; folders are made.

    Raises:
        EncoderError: the file system refuses.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except ZooError as error:
        raise EncoderError(error.message, remedy=error.remedy) from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace a JSON file."""
    with writing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        EncoderError: there is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise EncoderError(f"{path} is damaged: expected a JSON object, got {type(data).__name__}")
    return data


def write_parquet(path: Path, table: pl.DataFrame) -> None:
    """Replace a table."""
    with writing(path) as temporary:
        table.write_parquet(temporary)


def read_parquet(path: Path, columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """A table that has at least these columns.

    Raises:
        EncoderError: there is none, it is damaged or lacks a column.
    """
    try:
        table = pl.read_parquet(path, memory_map=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise EncoderError(f"{path} is damaged: it has no column {missing[0]!r}")
    return table
