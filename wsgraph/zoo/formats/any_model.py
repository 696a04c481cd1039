"""Reading any model that ``wsgraph compile`` reads, fast for all but the first of an architecture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from wsgraph.errors import CheckpointError, SourceError
from wsgraph.frontends.huggingface import describes_model, weights_in
from wsgraph.frontends.source import with_weights
from wsgraph.zoo.checkpoint import Model, Weights
from wsgraph.zoo.reading import read_content

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_any"]

_OTHERS = (".pt2", ".onnx", ".wsg")


def read_any(path: Path, arch: str | None, inputs: Sequence[str], allow: Sequence[str]) -> Weights:
    """The content of a checkpoint file, or of a folder with ``config.json`` and weights.

    Raises:
        SourceError: it is missing, damaged, or of a kind that a zoo does not take.
    """
    if not path.exists():
        raise SourceError(f"there is no file {path}", remedy="check the path")
    file = weights_in(path) if path.is_dir() else path
    if file.name.endswith(_OTHERS):
        raise SourceError(
            f"{file} is a compiled or exported model, a zoo takes checkpoints",
            remedy="save its state dict, and name the architecture",
        )
    shapes = tuple(inputs) or None
    content = read_content(file, allow)
    if isinstance(content, nn.Module):
        module = content
        return Weights(dict(module.state_dict()), _described(module), partial(Model, module, shapes))
    config = file.with_name("config.json")
    text = config.read_text(encoding="utf-8") if arch is None and describes_model(config) else ""
    if not content:
        raise CheckpointError(f"{file} holds no tensors")
    build = partial(_build, content, config, arch, file.name, shapes)
    return Weights(
        content,
        f"{arch} {shapes} {text}",
        build,
        converted=(build().module.state_dict) if text else None,
    )


def _build(
    tensors: dict[str, Tensor], config: Path, arch: str | None, origin: str, shapes: tuple[str, ...] | None
) -> Model:
    module, _ = with_weights(tensors, config, arch, origin)
    return Model(module, shapes)


def _described(module: nn.Module) -> str:
    """What a module is besides its weights: its layers' classes and plain attributes."""
    lines = []
    for name, layer in module.named_modules():
        fields = {
            k: v
            for k, v in vars(layer).items()
            if k not in {"_parameters", "_buffers", "_modules", "training"}
        }
        plain = sorted((key, repr(value)) for key, value in fields.items() if value)
        lines.append(f"{name} {type(layer).__module__}.{type(layer).__qualname__} {plain}")
    return "\n".join(lines)
