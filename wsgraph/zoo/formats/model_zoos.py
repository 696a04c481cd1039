"""The ModelZoos (Schürholt et al. 2022) and SANE's samples of them.

``<zoo>/<trial>/checkpoint_<epoch>/checkpoints`` with ``params.json`` and ``result.json`` beside them; or
``dataset_torch.<split>/sample_<i>.pt``, tokens that need the setting ``reference``: a checkpoint of the zoo,
for the shapes. ``epoch`` keeps one epoch.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from wsgraph.errors import CheckpointError, ZooError
from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights
from wsgraph.zoo.formats.sane_samples import sample_checkpoints
from wsgraph.zoo.models.trial import TrialCNN, image_size
from wsgraph.zoo.reading import read_json_file, read_state_dict
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from wsgraph.zoo.options import ImportOptions
    from wsgraph.zoo.table import Label

__all__ = ["checkpoints", "network_weights"]

_ACTIVATIONS = ("model::nlin", "nlin", "activation")


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """One model a checkpoint folder; ``run`` is the trial.

    Raises:
        ZooError: the folder holds only pickled data sets, which are objects of a class nobody has.
    """
    options.check("epoch", "reference", "activation")
    if samples := sorted(source.glob("dataset_torch.*/sample_*.pt")):
        yield from sample_checkpoints(source, samples, options)
        return
    folders = sorted({path.parent.parent for path in source.rglob("checkpoint_*/checkpoints")})
    if not folders and any(source.rglob("dataset*.pt")):
        raise ZooError(
            f"{source} holds a pickled data set only, an object of a class that is not there",
            remedy="import the zoo's checkpoint folders, or a dataset_torch folder of samples",
        )
    epoch = options.integer("epoch")
    for trial in folders:
        for number, path in sorted(_epochs(trial)):
            if epoch is None or number == epoch:
                yield _checkpoint(source, trial, number, path)


def _epochs(trial: Path) -> Iterator[tuple[int, Path]]:
    for folder in trial.glob("checkpoint_*"):
        match = re.fullmatch(r"checkpoint_(\d+)", folder.name)
        if match and (folder / "checkpoints").is_file():
            yield int(match[1]), folder / "checkpoints"


def _checkpoint(source: Path, trial: Path, epoch: int, path: Path) -> Checkpoint:
    return Checkpoint(
        id=path.parent.relative_to(source).as_posix(),
        source=path,
        read=partial(_read, trial, path, epoch),
        run=trial.relative_to(source).as_posix(),
        labels={"epoch": epoch},
    )


def _read(trial: Path, path: Path, epoch: int) -> Weights:
    params = read_json_file(trial / "params.json") if (trial / "params.json").is_file() else {}
    labels = {f"config.{name}": label_value(value) for name, value in params.items()}
    function = next((str(params[name]) for name in _ACTIVATIONS if name in params), None)
    if function is None:
        raise CheckpointError(f"{trial / 'params.json'} names no activation ({', '.join(_ACTIVATIONS)})")
    return network_weights(read_state_dict(path), function, labels | _results(trial / "result.json", epoch))


def network_weights(tensors: dict[str, Tensor], function: str, labels: dict[str, Label]) -> Weights:
    """The content of a checkpoint of one of the two networks."""

    def build() -> Model:
        network = TrialCNN(tensors, function)
        size = image_size(network)
        return Model(network, f"1x{tensors['module_list.0.weight'].shape[1]}x{size}x{size}")

    return Weights(tensors, f"model-zoos {function}", build, labels)


def _results(path: Path, epoch: int) -> dict[str, Label]:
    """The numbers of the line that belongs to the epoch; its configuration stands in ``params.json``."""
    if not path.is_file():
        return {}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for line in lines:
        try:
            entry: Any = json.loads(line)
        except ValueError as error:
            raise CheckpointError(f"{path} has a line that is no JSON: {error}") from error
        if entry.get("training_iteration") == epoch:
            kept = {name: value for name, value in entry.items() if isinstance(value, int | float | str)}
            return {name: label_value(value) for name, value in kept.items()}
    return {}
