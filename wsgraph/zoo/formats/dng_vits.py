"""The ViTs of the DNG paper (App. F): SimpleViT checkpoints of CIFAR-10.

``vit_models/model_<id>_<epoch>.pth`` and ``stat/{results,splits,vit_hyperparameters}.json``, in the folder
itself or in ``cifar10_vit``. The zoo varies the stopping epoch and the seed only, so that ``epoch`` alone
predicts much of the accuracy.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from wsgraph.errors import CheckpointError, ZooError
from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights
from wsgraph.zoo.models.vit import SimpleViT
from wsgraph.zoo.reading import read_json_file, read_state_dict
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions
    from wsgraph.zoo.table import Label

__all__ = ["checkpoints"]

_FILE = re.compile(r"model_(?P<id>.+)_(?P<epoch>\d+)\.pth")
_SIZES = ("depth", "dim", "dim_head", "heads", "mlp_dim", "num_classes", "patch_size", "image_size")


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """One model a file; ``run`` is the model's id.

    Raises:
        ZooError: a file of ``stat`` is missing or damaged.
    """
    options.check()
    root = source if (source / "vit_models").is_dir() else source / "cifar10_vit"
    results = read_json_file(root / "stat" / "results.json")
    splits = _splits(root / "stat" / "splits.json")
    sizes = read_json_file(root / "stat" / "vit_hyperparameters.json")
    if not isinstance(sizes, dict):
        raise ZooError(f"{root / 'stat' / 'vit_hyperparameters.json'} holds no object")
    for path in sorted((root / "vit_models").glob("model_*.pth")):
        if not (match := _FILE.fullmatch(path.name)):
            continue
        name, epoch = match["id"], int(match["epoch"])
        labels: dict[str, Label] = {"epoch": epoch, **_result(results, path.stem, name, epoch)}
        yield Checkpoint(
            id=path.stem,
            source=path,
            read=partial(_read, path, _sizes(sizes, path.stem, name)),
            run=name,
            split=splits.get(path.stem, splits.get(f"{name}_{epoch}", splits.get(name))),
            labels=labels,
        )


def _splits(path: Path) -> dict[str, str]:
    """The split of each id; ids may be written as numbers, with or without the epoch."""
    content = read_json_file(path)
    if not isinstance(content, dict) or not all(isinstance(ids, list) for ids in content.values()):
        raise ZooError(f"{path} holds no object with a list of ids a split")
    splits: dict[str, str] = {}
    for split, ids in content.items():
        for name in ids:
            if splits.setdefault(str(name), split) != split:
                raise ZooError(f"{path}: {name} is in {splits[str(name)]!r} and in {split!r}")
    return splits


def _lookup(content: Any, stem: str, name: str, epoch: int | None = None) -> Any:
    """An entry under the file's name, or under the id, with the epochs inside it or not."""
    keys = (stem, f"{stem}.pth", name, f"{name}_{epoch}")
    entry = (
        next((content[key] for key in keys if key in content), None) if isinstance(content, dict) else None
    )
    return entry.get(str(epoch), entry) if isinstance(entry, dict) and epoch is not None else entry


def _result(results: Any, stem: str, name: str, epoch: int) -> dict[str, Label]:
    if isinstance(results, list):
        found = [
            r for r in results if isinstance(r, dict) and str(r.get("id", r.get("model_id"))) in {name, stem}
        ]
        results = {stem: next((r for r in found if r.get("epoch", epoch) == epoch), {})}
    entry = _lookup(results, stem, name, epoch)
    if isinstance(entry, dict):
        return {key: label_value(value) for key, value in entry.items() if key != "id"}
    return {} if entry is None else {"accuracy": label_value(entry)}


def _sizes(content: Mapping[str, Any], stem: str, name: str) -> Mapping[str, Any]:
    """The hyperparameters of one model, or those of all."""
    own = _lookup(content, stem, name)
    return own if isinstance(own, dict) else content


def _read(path: Path, sizes: Mapping[str, Any]) -> Weights:
    if missing := [key for key in _SIZES if not isinstance(sizes.get(key), int)]:
        raise CheckpointError(f"vit_hyperparameters.json has no whole number {missing[0]!r} for {path.name}")
    tensors = read_state_dict(path)
    kept = {key: int(sizes[key]) for key in _SIZES}
    patch = tensors["to_patch_embedding.2.weight"].shape[1] if "to_patch_embedding.2.weight" in tensors else 0
    kept["channels"] = max(patch // kept["patch_size"] ** 2, 1)
    return Weights(tensors, f"dng-vits {json.dumps(kept)}", partial(_build, kept), _labels(kept))


def _labels(sizes: Mapping[str, int]) -> dict[str, Label]:
    return {f"config.{key}": value for key, value in sizes.items()}


def _build(sizes: Mapping[str, int]) -> Model:
    size = sizes["image_size"]
    return Model(SimpleViT(**sizes), f"1x{sizes['channels']}x{size}x{size}")
