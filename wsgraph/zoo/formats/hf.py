"""A folder of model folders in the layout of the Hugging Face hub: ``config.json`` and weights in each.

Folders with ``adapter_config.json`` are PEFT adapters; the setting ``base`` names the folder of the model
that they adapt. An optional table (CSV or Parquet, setting ``table``) with a column ``path`` gives labels.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wsgraph.errors import ZooError
from wsgraph.zoo.checkpoint import Checkpoint
from wsgraph.zoo.formats.any_model import read_any
from wsgraph.zoo.formats.peft_adapters import read_adapter
from wsgraph.zoo.reading import read_csv
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions
    from wsgraph.zoo.table import Label

__all__ = ["checkpoints"]

_CONFIGS = ("config.json", "adapter_config.json")


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """One model a folder that has a configuration, in the order of their names.

    Raises:
        ZooError: the table is missing, damaged, or names a folder that is not there.
    """
    options.check("base", "table")
    labels = _labels(source, options)
    folders = sorted({path.parent for name in _CONFIGS for path in source.rglob(name)})
    names = {folder.relative_to(source).as_posix(): folder for folder in folders}
    if unknown := sorted(set(labels) - set(names)):
        raise ZooError(f"the table names {unknown[0]!r}, which is no model folder under {source}")
    base = source / options.settings["base"] if "base" in options.settings else None
    for name, folder in names.items():
        adapter = (folder / "adapter_config.json").is_file()
        read = (
            partial(read_adapter, folder, base, options.inputs)
            if adapter
            else partial(read_any, folder, options.arch, options.inputs, options.allow)
        )
        identity = source.name if name == "." else name
        yield Checkpoint(id=identity, source=folder, read=read, labels=labels.get(name, {}))


def _labels(source: Path, options: ImportOptions) -> dict[str, dict[str, Label]]:
    if "table" not in options.settings:
        return {}
    table = read_csv(source / options.settings["table"], ("path",))
    return {
        str(row["path"]).strip("/"): {name: label_value(v) for name, v in row.items() if name != "path"}
        for row in table.iter_rows(named=True)
    }
