"""Reading checkpoints that are a plain chain of linear layers: MLPs and SIRENs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import CheckpointError
from wsgraph.frontends.chains import chain_of
from wsgraph.zoo.checkpoint import Model, Weights
from wsgraph.zoo.reading import read_pickle
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wsgraph.zoo.table import Label

__all__ = ["read_chain", "split_labels"]


def read_chain(path: Path) -> Weights:
    """A SIREN's state dict; entries beside the weights are labels.

    Raises:
        CheckpointError: the file is damaged or holds no state dict.
    """
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, expected a state dict")
    tensors, labels = split_labels(content)
    if not tensors:
        raise CheckpointError(f"{path} holds no weights")
    return Weights(tensors, "chain", partial(_build, tensors, str(path)), labels)


def split_labels(content: Mapping[str, object]) -> tuple[dict[str, Tensor], dict[str, Label]]:
    """Weights and biases, and the other entries, such as the ``label`` among the Fashion INRs' weights."""
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(value, Tensor) and name.rpartition(".")[2] in {"weight", "bias"}
    }
    rest = {
        str(name): label_value(value)
        for name, value in content.items()
        if name not in tensors and isinstance(value, Tensor | str | int | float)
    }
    return tensors, rest


def _build(tensors: dict[str, Tensor], where: str) -> Model:
    found = chain_of(tensors)
    if found is None:
        raise CheckpointError(f"{where}: {', '.join(tensors)} are no chain of linear layers")
    chain = found[0]
    with torch.no_grad():
        chain.load_state_dict(tensors)
    return Model(chain)
