"""A plain folder: a checkpoint a model, in any format that ``wsgraph compile`` reads, and a table.

The table, CSV or Parquet, has a column ``path``, relative to the table, and label columns. The columns
``id``, ``run``, ``split``, ``arch`` and ``input`` are understood. Settings: ``table`` names it where there
are several. SRC is the folder or the table itself.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wsgraph.errors import ZooError
from wsgraph.zoo.checkpoint import Checkpoint
from wsgraph.zoo.formats.any_model import read_any
from wsgraph.zoo.reading import read_csv
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions

__all__ = ["checkpoints"]

_UNDERSTOOD = {"path", "id", "run", "split", "arch", "input"}


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """One model a row of the table.

    Raises:
        ZooError: there is no table, there are several, or it names a file twice.
    """
    options.check("table")
    path = _table(source, options)
    table = read_csv(path, ("path",))
    ids = [str(name) for name in table["id" if "id" in table.columns else "path"]]
    if twice := sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) < len(ids) else []:
        raise ZooError(f"{path} has {twice[0]!r} twice", remedy="give a column 'id' with names of their own")
    for name, row in zip(ids, table.iter_rows(named=True), strict=True):
        yield _checkpoint(path.parent, name, row, options)


def _checkpoint(folder: Path, name: str, row: Mapping[str, Any], options: ImportOptions) -> Checkpoint:
    path = folder / str(row["path"])
    inputs = (str(row["input"]),) if row.get("input") else options.inputs
    arch = str(row["arch"]) if row.get("arch") else options.arch
    return Checkpoint(
        id=name,
        source=path,
        read=partial(read_any, path, arch, inputs, options.allow),
        run=None if row.get("run") is None else str(row["run"]),
        split=None if row.get("split") is None else str(row["split"]),
        labels={key: label_value(value) for key, value in row.items() if key not in _UNDERSTOOD},
    )


def _table(source: Path, options: ImportOptions) -> Path:
    if source.is_file():
        return source
    if "table" in options.settings:
        return source / options.settings["table"]
    found = sorted(path for pattern in ("*.csv", "*.csv.gz", "*.parquet") for path in source.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ZooError(
            f"{source} should hold one table with a column 'path', found {names}",
            remedy="write one (path, and a column a label), or choose it: --set table=NAME",
        )
    return found[0]
