"""Reading PEFT adapters: low-rank weights beside a base model that stands elsewhere."""

from __future__ import annotations

import json
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from wsgraph.errors import CheckpointError, MissingDependencyError, SourceError
from wsgraph.frontends.source import open_source
from wsgraph.zoo.checkpoint import Model, Weights
from wsgraph.zoo.reading import read_json_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_adapter"]


def read_adapter(folder: Path, base: Path | None, inputs: Sequence[str]) -> Weights:
    """The base model with the adapter in place, as one network.

    Raises:
        SourceError: the base model or the adapter is missing or damaged.
        MissingDependencyError: peft is not installed.
    """
    if not (folder / "adapter_model.safetensors").is_file():
        raise CheckpointError(f"{folder} has no adapter_model.safetensors")
    config = read_json_file(folder / "adapter_config.json")
    named = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    home = base or (folder / str(named) if named else None)
    if home is None or not home.is_dir():
        raise SourceError(
            f"{folder} adapts {named!r}, which is no folder here", remedy="name it: --set base=FOLDER"
        )
    model = _adapted(folder, home, inputs)
    shapes = tuple(inputs) or None
    # Every adapter has its own configuration; only those that agree in it share an architecture.
    text = json.dumps({"adapter": config, "base": str(home.resolve())}, sort_keys=True)
    return Weights(dict(model.state_dict()), f"{text} {shapes}", partial(Model, model, shapes))


def _adapted(folder: Path, home: Path, inputs: Sequence[str]) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingDependencyError(f"{folder} is a PEFT adapter", remedy="pip install peft") from error
    source = open_source(home, inputs=list(inputs) or None)
    assert source.module is not None
    base: Any = source.module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft and transformers tell each other's developers
            # Reads adapter_config.json and adapter_model.safetensors; neither can hold code.
            adapted: Any = PeftModel.from_pretrained(base, str(folder), is_trainable=False)
    except Exception as error:  # whatever peft finds wrong with the files
        raise CheckpointError(f"{folder} cannot be put on {home}: {type(error).__name__}: {error}") from error
    return adapted.base_model.model
