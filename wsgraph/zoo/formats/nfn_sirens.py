"""NFN's SIRENs (Zhou et al. 2024): one network an image, in folders by label.

``siren_{mnist,fashion,cifar,cifar100}_wts/randinit_smaller_<label>s/net<idx>.pth``, and augmented copies in
``randinit_smaller_aug<K>_<label>s``. Settings: ``augmented=true`` takes the copies of training images too;
``split_points=A,B`` are the first indices of validation and test.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from wsgraph.errors import ZooError
from wsgraph.zoo.checkpoint import Checkpoint
from wsgraph.zoo.formats.chains import read_chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions

__all__ = ["checkpoints"]

_FOLDER = re.compile(r"randinit_smaller(?:_aug(?P<copy>\d+))?_(?P<label>[^_]+)s")
_FILE = re.compile(r"net(\d+)\.pth")
_SPLIT_POINTS = {"fashion": (55_000, 60_000)}
_OTHER_SPLIT_POINTS = (45_000, 50_000)


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """Originals, and on demand augmented copies of training images; ``run`` is the image.

    Copies of validation and test images are never taken: a model trained on copies would have seen what it
    is tested on.
    """
    options.check("augmented", "split_points")
    augmented = options.flag("augmented")
    roots = [source] if _label_folders(source) else sorted(source.glob("siren_*_wts"))
    for root in roots:
        points = _split_points(root.name, options)
        prefix = "" if root == source else f"{root.name}/"
        found = sorted(
            (
                (int(match[1]), folder, path)
                for folder in _label_folders(root)
                for path, match in _files(folder)
            ),
            key=lambda item: (item[0], item[1].name),
        )
        for index, folder, path in found:
            name = _FOLDER.fullmatch(folder.name)
            assert name is not None
            split = "train" if index < points[0] else "val" if index < points[1] else "test"
            if name["copy"] and not (augmented and split == "train"):
                continue
            label = name["label"]
            yield Checkpoint(
                id=f"{prefix}{folder.name}/{path.name}",
                source=path,
                read=partial(read_chain, path),
                run=f"{prefix}image{index}",
                split=split,
                labels={
                    "label": int(label) if label.isdigit() else label,
                    "image": index,
                    "copy": int(name["copy"] or 0),
                    "dataset": root.name.removeprefix("siren_").removesuffix("_wts"),
                },
            )


def _label_folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and _FOLDER.fullmatch(path.name))


def _files(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in folder.iterdir():
        if match := _FILE.fullmatch(path.name):
            yield path, match


def _split_points(folder: str, options: ImportOptions) -> tuple[int, int]:
    text = options.settings.get("split_points")
    if text is None:
        return next((p for name, p in _SPLIT_POINTS.items() if name in folder), _OTHER_SPLIT_POINTS)
    if not re.fullmatch(r"\d+,\d+", text):
        raise ZooError(f"split_points is {text!r}, expected two numbers such as 45000,50000")
    first, second = map(int, text.split(","))
    return first, second
