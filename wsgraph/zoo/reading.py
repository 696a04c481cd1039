"""Reading the files of a zoo: checkpoints without running code from them, tables, lists of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from wsgraph.errors import CheckpointError, ZooError
from wsgraph.frontends.safetensors_files import read_safetensors
from wsgraph.frontends.state_dict import find, without_wrappers
from wsgraph.frontends.unpickle import load_pickle
from wsgraph.zoo.plain_pickle import NotPlainError, load_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["inside", "read_content", "read_csv", "read_json_file", "read_pickle", "read_state_dict"]

_SMALL = 16 << 20


def read_pickle(path: Path, allow: Sequence[str] = ()) -> Any:
    """What ``torch.save`` wrote, loaded without running code from it; tensors on the CPU.

    Small files of nothing but tensors, which is what zoos are made of, are read whole and fast.

    Raises:
        CheckpointError: the file is damaged, or names something that is not trusted.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    if path.stat().st_size <= _SMALL:
        try:
            return load_plain(path)
        except NotPlainError:
            pass  # the careful loader grants more, or says what is wrong with the file
    return load_pickle(path, allow)


def read_content(path: Path, allow: Sequence[str] = ()) -> dict[str, Tensor] | nn.Module:
    """The state dict or module of a checkpoint file.

    Raises:
        SourceError: it cannot be read, or holds neither.
    """
    if path.name.endswith((".safetensors", ".safetensors.index.json")):
        if not path.is_file():
            raise CheckpointError(f"there is no file {path}")
        return without_wrappers(read_safetensors(path))[0]
    content = find(read_pickle(path, allow), path.name).content
    return without_wrappers(content)[0] if isinstance(content, dict) else content


def read_state_dict(path: Path, allow: Sequence[str] = ()) -> dict[str, Tensor]:
    """The state dict of a checkpoint file.

    Raises:
        SourceError: it cannot be read, or holds none.
    """
    content = read_content(path, allow)
    return content if isinstance(content, dict) else content.state_dict()


def read_json_file(path: Path) -> Any:
    """A JSON file that the zoo cannot do without.

    Raises:
        ZooError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ZooError(f"there is no file {path}, which this zoo format needs") from error
    except (ValueError, OSError) as error:
        raise ZooError(f"{path} cannot be read as JSON: {error}") from error


def read_csv(path: Path, columns: Sequence[str] = ()) -> pl.DataFrame:
    """A CSV or Parquet table that the zoo cannot do without; ``.csv.gz`` too.

    Args:
        path: the file.
        columns: columns that it must have.

    Raises:
        ZooError: it is missing or damaged, or lacks a column.
    """
    if not path.is_file():
        raise ZooError(f"there is no file {path}, which this zoo format needs")
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path, memory_map=False)
        else:
            table = pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ZooError(f"{path} cannot be read as a table: {error}") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise ZooError(f"{path} has no column {missing[0]!r}; its columns are {', '.join(table.columns)}")
    return table


def inside(root: Path, recorded: str) -> Path:
    """The file that a table written on another machine names: its longest end that exists under ``root``.

    Raises:
        CheckpointError: no end of the path exists there.
    """
    parts = [part for part in recorded.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    for first in range(len(parts)):
        path = root.joinpath(*parts[first:])
        if path.exists():
            return path
    raise CheckpointError(f"{recorded} is not under {root}")
