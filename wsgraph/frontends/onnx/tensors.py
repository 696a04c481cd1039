"""Tensors of the ONNX format as torch tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsgraph.errors import CheckpointError
from wsgraph.frontends.onnx.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from onnx import TensorProto

__all__ = ["DTYPES", "bytes_of", "dtype_of", "shortest", "tensor_from_bytes", "tensor_from_proto"]

DTYPES: dict[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.uint16,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    12: torch.uint32,
    13: torch.uint64,
    14: torch.complex64,
    15: torch.complex128,
    16: torch.bfloat16,
    17: torch.float8_e4m3fn,
    18: torch.float8_e4m3fnuz,
    19: torch.float8_e5m2,
    20: torch.float8_e5m2fnuz,
}
"""ONNX's element types by number (``TensorProto.DataType``)."""

_NIBBLES = {21: torch.uint8, 22: torch.int8}
"""UINT4 and INT4, two in a byte, unpacked into whole bytes."""

_FIELDS = {
    1: "float_data",
    7: "int64_data",
    11: "double_data",
    12: "uint64_data",
    13: "uint64_data",
    14: "float_data",
    15: "double_data",
}
"""Which field holds the numbers where there is no ``raw_data``; ``int32_data`` for all others."""


def dtype_of(data_type: int, where: str) -> torch.dtype:
    """The torch type of an ONNX element type.

    Raises:
        UnsupportedTypeError: torch has no such type.
    """
    found = DTYPES.get(data_type)
    if found is None:
        raise UnsupportedTypeError(
            f"{where} has elements of ONNX type {data_type} ({_type_name(data_type)}), "
            "which torch does not have",
            remedy="convert the model to a numeric type of at least a byte",
        )
    return found


def _type_name(data_type: int) -> str:
    from onnx import TensorProto

    known = dict(zip(TensorProto.DataType.values(), TensorProto.DataType.keys(), strict=True))
    return str(known.get(data_type, "unknown"))


def shortest(value: float) -> float:
    """The number that somebody wrote, such as 1e-5, before it was stored in 32 bits."""
    return float(str(np.float32(value)))


def bytes_of(data_type: int, shape: tuple[int, ...], name: str) -> int:
    """How many bytes a tensor takes in the file.

    Raises:
        UnsupportedTypeError: torch has no such element type.
    """
    numel = math.prod(shape)
    return (numel + 1) // 2 if data_type in _NIBBLES else numel * _storage(data_type, name).itemsize


def tensor_from_bytes(
    buffer: memoryview | np.ndarray, data_type: int, shape: tuple[int, ...], name: str
) -> Tensor:
    """A tensor over little-endian bytes, without a copy where their alignment allows it.

    Raises:
        CheckpointError: the number of bytes does not fit the shape.
        UnsupportedTypeError: torch has no such element type.
    """
    dtype = _storage(data_type, name)
    numel, expected = math.prod(shape), bytes_of(data_type, shape, name)
    raw = np.frombuffer(buffer, dtype=np.uint8)
    if raw.size != expected:
        raise CheckpointError(
            f"tensor {name!r} has {raw.size} bytes, expected {expected} for {dtype} {list(shape)}",
            remedy="export or download the model again",
        )
    if data_type in _NIBBLES:
        return _unpacked(raw, signed=data_type == 22, numel=numel).reshape(shape)
    if not numel:
        return torch.empty(shape, dtype=dtype)
    if raw.ctypes.data % dtype.itemsize or not raw.flags.writeable:
        # torch has no read-only tensors; a copy also puts the elements where the processor wants them.
        raw = raw.copy()
    return torch.from_numpy(raw).view(dtype).reshape(shape)


def _storage(data_type: int, name: str) -> torch.dtype:
    """The type that holds a tensor's elements: a byte each for four-bit numbers."""
    return _NIBBLES[data_type] if data_type in _NIBBLES else dtype_of(data_type, f"tensor {name!r}")


def _unpacked(raw: np.ndarray, *, signed: bool, numel: int) -> Tensor:
    both = np.stack([raw & 15, raw >> 4], axis=1).reshape(-1)[:numel].astype(np.int8)
    if signed:
        both = np.where(both > 7, both - 16, both).astype(np.int8)
    return torch.from_numpy(both if signed else both.astype(np.uint8))


def tensor_from_proto(proto: TensorProto) -> Tensor:
    """A tensor that is stored inside the model's own file.

    Raises:
        CheckpointError: its numbers do not fit its shape.
        UnsupportedTypeError: torch has no such element type.
    """
    shape = tuple(proto.dims)
    if any(n < 0 for n in shape):
        raise CheckpointError(
            f"tensor {proto.name!r} has the shape {list(shape)}", remedy="export the model again"
        )
    dtype = _storage(proto.data_type, proto.name)
    if proto.HasField("raw_data"):
        return tensor_from_bytes(memoryview(proto.raw_data), proto.data_type, shape, proto.name)
    numbers = getattr(proto, _FIELDS.get(proto.data_type, "int32_data"))
    return _from_numbers(proto, numbers, dtype, shape)


def _from_numbers(proto: TensorProto, numbers: object, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Numbers from one of the typed fields; types of two bytes or fewer keep their bits in ``int32_data``."""
    field = _FIELDS.get(proto.data_type, "int32_data")
    kinds = {
        "float_data": np.float32,
        "double_data": np.float64,
        "int64_data": np.int64,
        "uint64_data": np.uint64,
    }
    array = np.array(numbers, dtype=kinds.get(field, np.int32))
    if proto.data_type in (14, 15):
        array = array.view(np.complex64 if proto.data_type == 14 else np.complex128)
    elif proto.data_type in _NIBBLES:
        return tensor_from_bytes(array.astype(np.uint8), proto.data_type, shape, proto.name)
    elif field == "int32_data":
        array = array.astype({1: np.uint8, 2: np.uint16, 4: np.int32}[dtype.itemsize])
    elif proto.data_type == 12:
        array = array.astype(np.uint32)
    return tensor_from_bytes(array.view(np.uint8), proto.data_type, shape, proto.name)
