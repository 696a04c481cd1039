"""The DWS INRs (Navon et al. 2023): SIRENs of MNIST and Fashion-MNIST images.

MNIST: ``mnist_png_{training,testing}_<label>_<id>/**/*.pth``. Fashion: the files that ``splits.json`` names,
with the label inside. A split file, named by the setting ``splits`` or found as ``*splits*.json``, decides
the splits where there is one.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from wsgraph.errors import ZooError
from wsgraph.zoo.checkpoint import Checkpoint, Weights
from wsgraph.zoo.formats.chains import read_chain
from wsgraph.zoo.reading import inside, read_json_file
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions

__all__ = ["checkpoints"]

_FOLDER = re.compile(r".*_png_(?P<half>training|testing)_(?P<label>\d+)_(?P<image>\w+)")
_HALVES = {"training": "train", "testing": "test"}


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """The files of the split file, else all ``.pth`` files; ``run`` is the image's folder.

    Raises:
        ZooError: the split file is missing or damaged, or there are several to choose from.
    """
    options.check("splits")
    splits = _split_file(source, options)
    if splits is None:
        for path in sorted(source.rglob("*.pth")):
            yield _checkpoint(source, path.relative_to(source).as_posix(), None, None)
        return
    content = read_json_file(splits)
    if not isinstance(content, dict):
        raise ZooError(f"{splits} holds no object with a list a split")
    for split, entries in content.items():
        paths = entries.get("path") if isinstance(entries, dict) else entries
        labels = entries.get("label") if isinstance(entries, dict) else None
        if not isinstance(paths, list) or (labels is not None and len(labels) != len(paths)):
            raise ZooError(f"{splits}: {split!r} has no list of paths with as many labels")
        for i, recorded in enumerate(paths):
            yield _checkpoint(source, str(recorded), str(split), labels[i] if labels else None)


def _split_file(source: Path, options: ImportOptions) -> Path | None:
    named = options.settings.get("splits")
    if named is not None:
        return source / named  # reading it says so if it is missing
    found = sorted(source.glob("*splits*.json"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ZooError(f"{source} has several split files: {names}", remedy="choose one: --set splits=NAME")
    return found[0] if found else None


def _checkpoint(source: Path, recorded: str, split: str | None, label: object) -> Checkpoint:
    match = next((m for part in recorded.split("/") if (m := _FOLDER.fullmatch(part))), None)
    labels = {} if label is None else {"label": label_value(label)}
    if match:
        labels = {"label": int(match["label"]), "image": match["image"]} | labels
    return Checkpoint(
        id=recorded,
        source=source / recorded,
        read=partial(_read, source, recorded),
        run=match[0] if match else None,
        split=split or (_HALVES[match["half"]] if match else None),
        labels=labels,
    )


def _read(source: Path, recorded: str) -> Weights:
    return read_chain(inside(source, recorded))
