"""Reading small checkpoints of nothing but tensors, quickly.

torch's weights-only unpickler is written in Python and takes several milliseconds for a small network. Zoos
hold thousands of them, so files that name nothing but tensors, their storages and ordered dicts are read by
the C unpickler here. It is given exactly those names; anything else ends in :class:`NotPlainError`, and
the careful loader takes over. No code of the file's choosing can run: a pickle can only call what
``find_class`` gives it.
"""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NotPlainError", "load_plain"]

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class NotPlainError(Exception):
    """The file holds something else than tensors, or is no such file at all."""


def load_plain(path: Path) -> Any:
    """What ``torch.save`` wrote: numbers, texts and tensors, in dicts, lists and tuples.

    Raises:
        NotPlainError: the file needs the careful loader, or is damaged.
    """
    try:
        return _Unpickler(_records(path)).load()
    except NotPlainError:
        raise
    except Exception as error:  # a damaged file fails in every way there is
        raise NotPlainError(f"{type(error).__name__}: {error}") from error


def _records(path: Path) -> dict[str, memoryview]:
    """The records of the zip archive, by their names inside its top folder, as views of one buffer."""
    whole = memoryview(bytearray(path.read_bytes()))
    records = {}
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise NotPlainError("compressed records")
            head = info.header_offset
            names = int.from_bytes(whole[head + 26 : head + 28], "little")
            extra = int.from_bytes(whole[head + 28 : head + 30], "little")
            start = head + 30 + names + extra
            record = whole[start : start + info.file_size]
            if len(record) != info.file_size or zlib.crc32(record) != info.CRC:
                raise NotPlainError(f"{info.filename} is damaged")
            records[info.filename.partition("/")[2]] = record
    if bytes(records.get("byteorder", b"little")) != b"little":
        raise NotPlainError("another byte order")
    return records


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows ordered dicts, tensors and storages, and refuses every other name."""

    def __init__(self, records: dict[str, memoryview]) -> None:
        super().__init__(io.BytesIO(records["data.pkl"]), encoding="utf-8")
        self._records = records
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """One of the few names that a plain checkpoint uses."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = _KNOWN.get((module, name))
        if known is None:
            raise NotPlainError(f"{module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage as a flat tensor ``[numel]`` over the record's bytes."""
        kind, dtype, key, _location, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise NotPlainError("a storage of an unknown kind")
        if key not in self._storages:
            data = self._records[f"data/{key}"]
            if len(data) != numel * dtype.itemsize:
                raise NotPlainError(f"storage {key} has {len(data)} bytes")
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        if self._storages[key].dtype != dtype:
            raise NotPlainError("one storage of two types")
        return self._storages[key]


def _tensor(flat: Any, offset: Any, size: Any, stride: Any, *_gradient_and_hooks: Any) -> Tensor:
    """A tensor over a storage; torch checks that it lies inside."""
    if not isinstance(flat, Tensor):
        raise NotPlainError("a tensor without a storage")
    return torch.as_strided(flat, size, stride, offset)


def _parameter(data: Any, *_gradient_and_hooks: Any) -> Any:
    return data


_KNOWN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
