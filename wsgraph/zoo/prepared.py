"""A model as a zoo stores it: checked, without tied copies, hashed. Other processes can make it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load, save

from wsgraph.errors import CheckpointError
from wsgraph.events.bits import tensor_bytes
from wsgraph.events.format import SAFETENSORS_DTYPES
from wsgraph.events.weights import check_weights, stored_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsgraph.events.structure import Structure

__all__ = ["PreparedModel", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """What a zoo keeps of a model besides its labels.

    Attributes:
        structure: its structure.
        tensors: its tensors, tied ones once, in the structure's order.
        digest: a hash of the tensors' names, dtypes and bits; shapes are the structure's.
    """

    structure: Structure
    tensors: Mapping[str, Tensor]
    digest: str

    def __reduce__(self) -> tuple[Any, ...]:
        # As one safetensors block: a pickled tensor takes its whole storage with it, which may be a file's.
        own = {
            name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in self.tensors.items()
        }
        return _unpack, (self.structure, tuple(own), save(own), self.digest)


def _unpack(structure: Structure, names: tuple[str, ...], packed: bytes, digest: str) -> PreparedModel:
    tensors = load(packed)
    return PreparedModel(structure, {name: tensors[name] for name in names}, digest)


def prepare(structure: Structure, weights: Mapping[str, Tensor]) -> PreparedModel:
    """Check weights against a structure, and hash them; nothing is copied.

    Raises:
        CheckpointError: the weights do not fit the structure, or are of a type that cannot be stored.
    """
    check_weights(structure, weights)
    stored = {
        name: stored_tensor(structure, weights, name).detach()
        for name, spec in structure.tensors.items()
        if spec.tied_to is None
    }
    for name, tensor in stored.items():
        if tensor.is_meta or str(tensor.dtype).removeprefix("torch.") not in SAFETENSORS_DTYPES.values():
            raise CheckpointError(
                f"{name} is {tensor.dtype} on {tensor.device}, a zoo holds real tensors of "
                + ", ".join(SAFETENSORS_DTYPES.values())
            )
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(stored):
        digest.update(f"{name} {stored[name].dtype}\n".encode())
        digest.update(tensor_bytes(stored[name]))
    return PreparedModel(structure, stored, digest.hexdigest())
