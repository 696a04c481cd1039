"""The CNN Wild Park (Kofinas et al. 2024): CNNs of random shapes, many checkpoints a run.

A folder with ``cnn_park_splits.json`` and the checkpoints that it names. The checkpoints' configurations
are objects of classes that exist nowhere; they are read as inert records.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from wsgraph.errors import CheckpointError, ZooError
from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights
from wsgraph.zoo.inert import load_inert
from wsgraph.zoo.models.cnn import ParkCNN
from wsgraph.zoo.reading import inside, read_json_file
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions

__all__ = ["checkpoints"]

_CONFIG = ("channels", "kernel_size", "stride", "padding", "residual", "activation", "n_classes")


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """The checkpoints of the split file; ``run`` is the folder of the training.

    Raises:
        ZooError: the split file is missing or damaged.
    """
    options.check()
    path = source / "cnn_park_splits.json"
    splits = read_json_file(path)
    for split, entries in splits.items() if isinstance(splits, dict) else ():
        paths = entries.get("path") if isinstance(entries, dict) else None
        if not isinstance(paths, list):
            raise ZooError(f"{path}: {split!r} has no list 'path'")
        columns = {name: values for name, values in entries.items() if name != "path"}
        if any(len(values) != len(paths) for values in columns.values()):
            raise ZooError(f"{path}: the lists of {split!r} have different lengths")
        for i, recorded in enumerate(paths):
            labels = {name: label_value(values[i]) for name, values in columns.items()}
            parts = recorded.split("/")
            yield Checkpoint(
                id=recorded,
                source=source / recorded,
                read=partial(_read, source, recorded),
                run="/".join(parts[:-2]) or recorded,
                split=split,
                labels=labels,
            )


def _read(source: Path, recorded: str) -> Weights:
    path = inside(source, recorded)
    content = load_inert(path)
    tensors = content.get("model") if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path} has no state dict under 'model'")
    config = _plain(content.get("config"), path)
    return Weights(
        dict(tensors),
        f"wild-park {sorted(config.items())}",
        partial(_build, config),
        {f"config.{name}": label_value(value) for name, value in config.items()},
    )


def _plain(config: Any, path: Path) -> dict[str, Any]:
    fields = config if isinstance(config, dict) else getattr(config, "fields", {})
    if missing := [name for name in _CONFIG if name not in fields]:
        raise CheckpointError(f"{path}: its 'config' has no {missing[0]!r}")
    plain: dict[str, Any] = {name: list(fields[name]) for name in _CONFIG if name != "n_classes"}
    plain["activation"] = [str(name) for name in plain["activation"]]
    return plain | {"n_classes": int(fields["n_classes"])}


def _build(config: Mapping[str, Any]) -> Model:
    network = ParkCNN(
        channels=config["channels"],
        kernel_size=config["kernel_size"],
        stride=config["stride"],
        padding=config["padding"],
        activations=config["activation"],
        residual=config["residual"],
        n_classes=config["n_classes"],
    )
    return Model(network, f"1x{config['channels'][0]}x32x32")
