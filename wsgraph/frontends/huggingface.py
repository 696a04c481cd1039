"""Models that a ``config.json`` beside the weights describes: transformers' and timm's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wsgraph.errors import CheckpointError, MissingDependencyError, SourceError
from wsgraph.frontends.architectures import build
from wsgraph.frontends.libraries import import_library
from wsgraph.frontends.safetensors_files import read_json
from wsgraph.frontends.skeleton import skeleton

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["build_from_config", "describes_model", "weights_in"]

_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "*.safetensors.index.json",
    "*.safetensors",
)


def weights_in(folder: Path) -> Path:
    """The file of a model folder that holds the weights, or the index of its shards.

    Raises:
        SourceError: if there is none, or more than one to choose from.
    """
    for pattern in _WEIGHTS:
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise SourceError(f"{folder} holds several weight files: {names}", remedy="name one of them")
    raise SourceError(
        f"{folder} holds no weights: looked for {', '.join(_WEIGHTS)}",
        remedy="name the checkpoint file itself",
    )


def describes_model(config: Path) -> bool:
    """Whether the file is a transformers or timm configuration; other tools call theirs config.json too."""
    return config.is_file() and not {"model_type", "architecture"}.isdisjoint(read_json(config))


def build_from_config(
    config: Path, tensors: Mapping[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...]]:
    """Build the model of a configuration; no code from the folder is run.

    Returns:
        The module, not yet holding the weights; the tensors under the module's names; what was assumed.

    Raises:
        CheckpointError: if the configuration is damaged, or its class is not part of the library.
        MissingDependencyError: if the library is not installed.
    """
    content = read_json(config)
    if "model_type" not in content:
        arch = f"timm:{content['architecture']}"
        classes = content.get("num_classes")
        module = build(arch, num_classes=classes) if isinstance(classes, int) else build(arch)
        return module, dict(tensors), (f"architecture {arch} read from {config.name}",)
    model = _build_transformers(config, content)
    named, notes = _renamed(model, tensors)
    read = f"architecture transformers:{type(model).__name__} read from {config.name}"
    if _missing(model, named) and any(config.parent.glob("*.safetensors")):
        model = _converted(model, config)
        return model, model.state_dict(), (read, "names converted by transformers, weights read into memory")
    return model, named, (read, *notes)


def _build_transformers(config: Path, content: Mapping[str, object]) -> Any:
    """The class that the configuration names, or the plain AutoModel of its type."""
    try:
        transformers: Any = import_library("transformers")
    except ImportError as error:
        raise MissingDependencyError(
            f"{config} describes a transformers model ({content['model_type']})",
            remedy="pip install transformers",
        ) from error
    names = content.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    kind: Any = getattr(transformers, name or "AutoModel", None)
    if kind is None or not hasattr(kind, "from_config" if kind is transformers.AutoModel else "config_class"):
        raise CheckpointError(
            f"{config} names the class {name!r}, which transformers {transformers.__version__} does not have",
            remedy="code that comes with a model is never run: build the model yourself and pass the module",
        )
    try:
        settings = transformers.AutoConfig.from_pretrained(
            str(config.parent), local_files_only=True, trust_remote_code=False
        )
        with skeleton():
            make: Any = kind.from_config if kind is transformers.AutoModel else kind
            return make(settings)
    except Exception as error:  # settings that the library's classes refuse
        raise CheckpointError(
            f"{config} makes no model: {type(error).__name__}: {error}", remedy="check the configuration"
        ) from error


def _missing(model: Any, named: Mapping[str, Tensor]) -> list[str]:
    """Names that the file should hold: all of the model's but those tied to one that it holds."""
    held = {id(t) for name, t in model.state_dict(keep_vars=True).items() if name in named}
    return [n for n, t in model.state_dict(keep_vars=True).items() if n not in named and id(t) not in held]


def _converted(model: Any, config: Path) -> Any:
    """The model as transformers itself reads the folder: since version 5 files keep older names."""
    try:
        return type(model).from_pretrained(
            str(config.parent),
            config=model.config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto",
        )
    except Exception as error:  # whatever transformers finds wrong with the files
        raise CheckpointError(
            f"{config.parent} does not fit {type(model).__name__}: {type(error).__name__}: {error}",
            remedy="check that the weights belong to this configuration",
        ) from error


def _renamed(model: Any, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors under the model's names: with or without the base model's prefix, old buffers dropped."""
    wanted = set(model.state_dict())
    prefix = f"{model.base_model_prefix}."
    choices = (
        (dict(tensors), ()),
        ({prefix + name: t for name, t in tensors.items()}, (f"prefix {prefix!r} added to every name",)),
        (
            {name.removeprefix(prefix): t for name, t in tensors.items()},
            (f"prefix {prefix!r} removed from the names that have it",),
        ),
    )
    named, notes = max(choices, key=lambda choice: len(wanted & choice[0].keys()))
    patterns = getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()
    surplus = [
        name for name in named if name not in wanted and any(re.search(pattern, name) for pattern in patterns)
    ]
    if surplus:
        notes = (*notes, f"left out, as transformers does: {', '.join(surplus[:4])}")
    return {name: tensor for name, tensor in named.items() if name not in surplus}, notes
