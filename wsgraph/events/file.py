"""Reading ``.wsg`` files: memory-mapped, and nothing in them trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from wsgraph.errors import FileFormatError, SourceError, StructureError
from wsgraph.events.decode import decode_structure
from wsgraph.events.format import (
    FORMAT,
    INDEX_PREFIX,
    METADATA_KEY,
    SAFETENSORS_DTYPES,
    VERSION,
    document_digest,
)
from wsgraph.events.lazy import LazyTensors
from wsgraph.events.schema import Fields
from wsgraph.events.stream import EventStream

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor

    from wsgraph.events.structure import Structure

__all__ = ["load"]


def load(path: str | PathLike[str]) -> EventStream:
    """Open a ``.wsg`` file.

    Weights are mapped into memory and read when they are used. A file that was saved without weights
    gives a stream that needs :meth:`EventStream.bind`.

    Raises:
        SourceError: there is no such file.
        FileFormatError: the file is damaged, tampered with, of a newer version, or no ``.wsg`` file.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError(
            f"there is no file {path}", remedy="write one with `wsgraph compile MODEL -o OUT.wsg`"
        )
    try:
        handle: Any = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise FileFormatError(
            f"{path} is no .wsg file, or a damaged one: {error}",
            remedy=f"compile the model again; if this is the model: `wsgraph compile {path}`",
        ) from error
    try:
        return _read(handle)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error.message}", remedy=error.remedy) from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
    except (SafetensorError, StructureError) as error:
        raise FileFormatError(f"{path} is damaged: {error}") from error
    except RecursionError as error:
        raise FileFormatError(f"{path} is damaged: its structure is nested too deeply") from error


def _read(handle: Any) -> EventStream:
    document = _document((handle.metadata() or {}).get(METADATA_KEY))
    names = frozenset(handle.keys())

    def read_index(name: str) -> Tensor:
        stored = f"{INDEX_PREFIX}{name}"
        if stored not in names:
            raise FileFormatError(f"index tensor {name!r} is missing")
        index: Tensor = handle.get_tensor(stored)
        return index

    inline = document.choice("weights", ("inline", "reference")) == "inline"
    structure = decode_structure(document.take("structure"), read_index)
    document.done()
    structure.validate()
    stored = tuple(name for name, spec in structure.tensors.items() if spec.tied_to is None) if inline else ()
    _check_names(names, {*stored, *(f"{INDEX_PREFIX}{name}" for name in structure.indices)})
    for name in stored:
        _check_stored(name, handle, structure)
    return EventStream(structure, LazyTensors(handle, stored) if inline else None, trusted=True)


def _document(text: str | None) -> Fields:
    """The JSON document, its format, version and digest checked."""
    if text is None:
        raise FileFormatError(
            "this is a safetensors file without a wsgraph structure",
            remedy="compile it: `wsgraph compile FILE`",
        )
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise FileFormatError(f"its structure is not JSON: {error}") from error
    fields = Fields(data, "document")
    fields.choice("format", (FORMAT,))
    version = fields.natural("version")
    if version != VERSION:
        raise FileFormatError(
            f"it has format version {version}, this wsgraph reads version {VERSION}",
            remedy="install a newer wsgraph" if version > VERSION else "",
        )
    if fields.text("sha256") != document_digest(data):
        raise FileFormatError("its structure is not the one that was written: the SHA-256 differs")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field occurs twice in one object")
    return fields


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _check_names(found: frozenset[str], expected: set[str]) -> None:
    if found != expected:
        raise FileFormatError(
            f"its tensors are not those of its structure: {sorted(expected - found)[:3]} missing, "
            f"{sorted(found - expected)[:3]} unexpected"
        )


def _check_stored(name: str, handle: Any, structure: Structure) -> None:
    """Compare a tensor's header entry with its specification; its bytes stay untouched."""
    entry, spec = handle.get_slice(name), structure.tensors[name]
    shape, dtype = tuple(entry.get_shape()), SAFETENSORS_DTYPES.get(entry.get_dtype(), entry.get_dtype())
    if (shape, dtype) != (spec.shape, spec.dtype):
        raise FileFormatError(
            f"tensor {name!r} is {list(shape)} {dtype}, expected {list(spec.shape)} {spec.dtype}"
        )
