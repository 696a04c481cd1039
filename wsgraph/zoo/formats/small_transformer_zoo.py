"""The Small Transformer Zoo (Tran et al. 2024).

``{mnist_transformer,ag_news_transformer}/<name>/<run>_<epoch>_<accuracy * 1e4>.pt`` and
``metadata/<name>.csv``. Settings: ``epoch`` keeps one epoch (75 is the final one), ``heads`` (2).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights
from wsgraph.zoo.models.transformer import ZooTransformer
from wsgraph.zoo.reading import read_csv, read_state_dict
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from wsgraph.zoo.options import ImportOptions
    from wsgraph.zoo.table import Label

__all__ = ["checkpoints"]

_FILE = re.compile(r"(?P<run>.+?)_(?P<epoch>\d+|best)(?:_(?P<accuracy>\d+))?\.pt")


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """One model a file; labels are the metadata's, and the accuracy in the file's name.

    Raises:
        ZooError: a table of metadata is missing or damaged.
    """
    options.check("epoch", "heads")
    epoch, heads = options.integer("epoch"), options.integer("heads") or 2
    for path in sorted(source.rglob("*.csv")):
        if path.parent.name == "metadata":
            yield from _zoo(source, path, epoch, heads)


def _zoo(source: Path, table: Path, epoch: int | None, heads: int) -> Iterator[Checkpoint]:
    folder = table.parent.parent / table.stem
    rows = {
        str(row["ckpt_file"]).rpartition("/")[2]: row
        for row in read_csv(table, ("ckpt_epoch", "ckpt_file")).iter_rows(named=True)
    }
    files = {path.name: path for path in folder.glob("*.pt") if _FILE.fullmatch(path.name)}
    for name in sorted(files.keys() | {name for name in rows if _FILE.fullmatch(name)}):
        match = _FILE.fullmatch(name)
        assert match is not None
        if epoch is not None and match["epoch"] != str(epoch):
            continue
        path = files.get(name, folder / name)
        labels: dict[str, Label] = {key: label_value(value) for key, value in rows.get(name, {}).items()}
        labels |= {"epoch": int(match["epoch"]) if match["epoch"].isdigit() else None}
        if match["accuracy"]:
            labels["accuracy"] = int(match["accuracy"]) / 1e4
        yield Checkpoint(
            id=path.relative_to(source).as_posix(),
            source=path,
            read=partial(_read, path, heads),
            run=f"{folder.relative_to(source).as_posix()}/{match['run']}",
            labels=labels,
        )


def _read(path: Path, heads: int) -> Weights:
    tensors = read_state_dict(path)
    return Weights(tensors, f"small-transformer-zoo {heads}", partial(_build, tensors, heads))


def _build(tensors: dict[str, Tensor], heads: int) -> Model:
    network = ZooTransformer(tensors, heads)
    kernel, positions = tensors.get("embedding.conv1.weight"), tensors.get("embedding.pos_embedding")
    tokens = positions.shape[-2] if positions is not None else 16
    if kernel is not None:
        side = round(tokens**0.5) * kernel.shape[-1]
        return Model(network, f"1x{kernel.shape[1]}x{side}x{side}")
    if "embedding.embedding.weight" in tensors:
        return Model(network, f"1x{tokens}:int64")
    return Model(network, f"1x{tokens}x{tensors['encoder.0.fc1.weight'].shape[1]}")
