"""Weights in files beside the model: only inside the model's own folder, only as far as the file goes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from wsgraph.errors import CheckpointError
from wsgraph.frontends.onnx.tensors import bytes_of, tensor_from_bytes

if TYPE_CHECKING:
    from onnx import TensorProto
    from torch import Tensor

__all__ = ["external_tensor"]

_REMEDY = "save the model again with onnx.save(..., save_as_external_data=True), and keep its files together"


def external_tensor(proto: TensorProto, folders: tuple[Path, ...]) -> Tensor:
    """A tensor whose bytes lie in another file, memory-mapped.

    Args:
        proto: the tensor; its ``external_data`` says where.
        folders: the model's folder; where its path is a link also that of the file it leads to. None for a
            model that came without a file.

    Raises:
        CheckpointError: the path leaves the folder, the file is missing or too short, or the size is wrong.
    """
    entries = {e.key: e.value for e in proto.external_data}
    location = entries.get("location", "")
    if not folders:
        raise CheckpointError(
            f"tensor {proto.name!r} lies in {location!r}, and a model in memory has no folder",
            remedy="pass the model's path, or load it with onnx.load(path), which reads the weights too",
        )
    path = _inside(folders, location, proto.name)
    offset, length = (_number(entries, key, proto.name) for key in ("offset", "length"))
    size = path.stat().st_size
    offset = offset or 0
    if length is None:  # it may be left out, also where other tensors follow in the file
        length = bytes_of(proto.data_type, tuple(proto.dims), proto.name)
    if offset + length > size or length < 0:
        raise CheckpointError(
            f"tensor {proto.name!r} is bytes {offset} to {offset + length} of {location}, "
            f"which has only {size}",
            remedy=_REMEDY,
        )
    # Copy on write: torch wants writable memory, and nothing must ever reach the file.
    empty = np.empty(0, np.uint8)
    mapped = np.memmap(path, np.uint8, "c", offset, (length,)) if length else empty
    return tensor_from_bytes(mapped, proto.data_type, tuple(proto.dims), proto.name)


def _inside(folders: tuple[Path, ...], location: str, name: str) -> Path:
    """The file's path, which has to lie in one of the folders, links followed."""
    pure = PurePosixPath(location)
    foreign = PureWindowsPath(location)
    parts = {*pure.parts, *foreign.parts}
    if not location or "\0" in location or pure.is_absolute() or foreign.is_absolute() or foreign.drive:
        raise _escapes(name, location)
    if ".." in parts:
        raise _escapes(name, location)
    roots = [folder.resolve() for folder in folders]
    for path in (folder / location for folder in folders):
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:  # a link that leads to itself
            raise _escapes(name, location) from error
        if not any(real.is_relative_to(root) for root in roots):
            raise _escapes(name, location)
        if real.is_file():
            return real
    raise CheckpointError(
        f"tensor {name!r} lies in {location!r}, which is not beside the model", remedy=_REMEDY
    )


def _escapes(name: str, location: str) -> CheckpointError:
    return CheckpointError(
        f"tensor {name!r} asks for {location!r}, which is no file inside the model's folder", remedy=_REMEDY
    )


def _number(entries: dict[str, str], key: str, name: str) -> int | None:
    text = entries.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise CheckpointError(f"tensor {name!r} has the {key} {text!r}, expected a number", remedy=_REMEDY)
    return int(text)
