"""Reads ``.safetensors``: one file, or shards named by an index. Tensors are mapped, their bytes not read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from wsgraph.errors import CheckpointError
from wsgraph.events.format import SAFETENSORS_DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["read_json", "read_safetensors", "shards"]

_AGAIN = "save or download it again"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a ``.safetensors`` file, or of the shards of a ``.safetensors.index.json``.

    Raises:
        CheckpointError: if a file is damaged, or a shard is missing or lacks a tensor of the index.
    """
    if path.suffix != ".json":
        return _read_one(path)
    tensors: dict[str, Tensor] = {}
    for shard, names in shards(path).items():
        held = _read_one(shard)
        if absent := [name for name in names if name not in held]:
            raise CheckpointError(
                f"{shard.name} lacks {absent[0]}, which {path.name} places there", remedy=_AGAIN
            )
        tensors.update(held)
    return tensors


def shards(index: Path) -> dict[Path, list[str]]:
    """The files of an index and the tensors in each.

    Raises:
        CheckpointError: if the index is damaged, names a file elsewhere, or a file is missing.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise CheckpointError(f"{index.name} has no 'weight_map', so it is no index of shards", remedy=_AGAIN)
    found: dict[Path, list[str]] = {}
    for name, file in weight_map.items():
        shard = index.parent / str(file)
        if shard.name != file or not shard.is_file():
            raise CheckpointError(f"{index.name} names {file!r}, which is not beside it", remedy=_AGAIN)
        found.setdefault(shard, []).append(name)
    return found


def read_json(path: Path) -> dict[str, object]:
    """A JSON file that holds an object.

    Raises:
        CheckpointError: if it does not.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path.name} cannot be read as JSON: {error}", remedy=_AGAIN) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path.name} holds a JSON {type(content).__name__}, not an object", remedy=_AGAIN
        )
    return content


def _read_one(path: Path) -> dict[str, Tensor]:
    try:
        handle: Any
        with safe_open(path, framework="pt") as handle:
            return _mapped(path, handle)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} cannot be read as safetensors: {error}", remedy=_AGAIN) from error
    except RuntimeError as error:  # torch's, when the process may not map as much
        raise CheckpointError(
            f"{path.name} cannot be mapped into memory: {error}", remedy="raise the limit on address space"
        ) from error


def _mapped(path: Path, checked: Any) -> dict[str, Tensor]:
    """The tensors of a file whose header ``safe_open`` has checked, over one mapping of it.

    safetensors' own tensors are mapped too, but torch looks at the first byte of each as it makes them, and
    the system reads ahead there: 1.6 GB of a shard of 6.
    """
    with path.open("rb") as file:
        start = 8 + (length := int.from_bytes(file.read(8), "little"))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    storage = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)  # private: never written
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        if entry["dtype"] in SAFETENSORS_DTYPES:
            dtype: torch.dtype = getattr(torch, SAFETENSORS_DTYPES[entry["dtype"]])
            begin, end = (start + offset for offset in entry["data_offsets"])
            tensors[name] = torch.empty(0, dtype=dtype).set_(storage[begin:end]).view(entry["shape"])
        else:
            tensors[name] = checked.get_tensor(name)
    return tensors
