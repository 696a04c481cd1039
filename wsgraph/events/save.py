"""Writing ``.wsg`` files: whole, or not at all."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import save_file

from wsgraph.errors import FileFormatError
from wsgraph.events.encode import JsonObject, encode_structure
from wsgraph.events.fingerprint import canonical_json
from wsgraph.events.format import (
    FORMAT,
    INDEX_PREFIX,
    METADATA_KEY,
    SAFETENSORS_DTYPES,
    VERSION,
    document_digest,
)
from wsgraph.events.weights import stored_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from torch import Tensor

    from wsgraph.events.structure import Structure

__all__ = ["save_stream"]


def save_stream(
    path: str | PathLike[str], structure: Structure, weights: Mapping[str, Tensor] | None
) -> None:
    """Write a structure, with its weights or without them.

    Raises:
        FileFormatError: the file cannot be written, or a tensor has no place in the format.
    """
    path = Path(path)
    stored = _stored_weights(structure, weights)
    document: JsonObject = {
        "format": FORMAT,
        "version": VERSION,
        "weights": "reference" if weights is None else "inline",
        "structure": encode_structure(_with_dtypes(structure, stored)),
    }
    text = canonical_json(document | {"sha256": document_digest(document)})
    indices = {f"{INDEX_PREFIX}{name}": index for name, index in structure.indices.items()}
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode  # what the user's umask says; safetensors makes private files
        save_file(_separate(stored | indices), temporary, {METADATA_KEY: text})
        temporary.chmod(mode)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error  # without the temporary name
        raise FileFormatError(
            f"cannot write {path}: {reason}",
            remedy="choose a folder that is there, can be written to and has room",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _stored_weights(structure: Structure, weights: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """The tensors that go into the file: all but those tied to another one."""
    if weights is None:
        return {}
    stored = {
        name: stored_tensor(structure, weights, name).detach()
        for name, spec in structure.tensors.items()
        if spec.tied_to is None
    }
    for name, tensor in stored.items():
        if tensor.is_meta or _dtype_name(tensor) not in SAFETENSORS_DTYPES.values():
            raise FileFormatError(
                f"tensor {name!r} cannot be stored: {tensor.dtype} on {tensor.device}; "
                f"a .wsg file holds real tensors of {', '.join(SAFETENSORS_DTYPES.values())}"
            )
    return stored


def _with_dtypes(structure: Structure, stored: Mapping[str, Tensor]) -> Structure:
    """The structure with the dtypes of the weights now bound, which may not be those compiled with."""
    specs = {
        name: replace(spec, dtype=_dtype_name(stored[spec.tied_to or name]))
        if (spec.tied_to or name) in stored
        else spec
        for name, spec in structure.tensors.items()
    }
    return replace(structure, tensors=specs)


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors that do not overlap in memory, as safetensors demands; copies where they did."""
    separate: dict[str, Tensor] = {}
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_ptr()):
        contiguous = tensor.contiguous()
        if contiguous is tensor and tensor.data_ptr() < end:
            contiguous = tensor.clone()
        elif contiguous is tensor:
            end = tensor.data_ptr() + tensor.nbytes
        separate[name] = contiguous
    return separate
