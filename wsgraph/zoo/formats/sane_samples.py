"""SANE's samples of a model zoo: weights cut into tokens, one ``.pt`` file a model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import CheckpointError, ZooError
from wsgraph.zoo.checkpoint import Checkpoint, Weights
from wsgraph.zoo.reading import read_pickle, read_state_dict
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from wsgraph.zoo.options import ImportOptions

__all__ = ["detokenise", "sample_checkpoints"]


def sample_checkpoints(source: Path, samples: Sequence[Path], options: ImportOptions) -> Iterator[Checkpoint]:
    """The samples of ``dataset_torch.<split>`` folders.

    Raises:
        ZooError: no reference checkpoint or no activation is given.
    """
    named, function = options.settings.get("reference"), options.settings.get("activation")
    if named is None or function is None:
        raise ZooError(
            f"{source} holds samples of tokens, which do not say the tensors' shapes nor the activation",
            remedy="give both: --set reference=<a checkpoint of the zoo> --set activation=<relu, gelu, ...>",
        )
    reference = read_state_dict(source / named)
    shapes = {name: tensor.shape for name, tensor in reference.items()}
    for path in samples:
        yield Checkpoint(
            id=path.relative_to(source).as_posix(),
            source=path,
            read=partial(_read, path, shapes, function),
            split=path.parent.name.partition(".")[2].removesuffix("set") or None,
        )


def _read(path: Path, shapes: Mapping[str, torch.Size], function: str) -> Weights:
    from wsgraph.zoo.formats.model_zoos import network_weights  # which lists these samples

    content = read_pickle(path)
    tokens = content.get("w") if isinstance(content, dict) else None
    if not isinstance(tokens, Tensor):
        raise CheckpointError(f"{path} holds no tokens 'w'")
    properties = content.get("props")
    labels = {str(k): label_value(v) for k, v in properties.items()} if isinstance(properties, dict) else {}
    return network_weights(detokenise(tokens, shapes), function, labels)


def detokenise(tokens: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The state dict that tokens ``[n, width]`` were made of.

    Layer by layer, a layer's weight is a matrix with a row a neuron and the bias as its last column; the row
    is cut into tokens, the last one padded with zeros.

    Raises:
        CheckpointError: there are not as many tokens as the shapes take.
    """
    width, at = tokens.shape[-1], 0
    out: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        if not name.endswith(".weight"):
            continue
        bias = name.removesuffix("weight") + "bias"
        columns = shape[1:].numel() + (bias in shapes)
        rows, pieces = shape[0], -(-columns // width)
        if at + rows * pieces > len(tokens):
            raise CheckpointError(f"{len(tokens)} tokens end within {name}")
        matrix = tokens[at : at + rows * pieces].reshape(rows, pieces * width)
        at += rows * pieces
        out[name] = matrix[:, : shape[1:].numel()].reshape(shape).clone()
        if bias in shapes:
            out[bias] = matrix[:, columns - 1].clone()
    if at != len(tokens):
        raise CheckpointError(f"{len(tokens)} tokens, the reference takes {at}")
    return out
