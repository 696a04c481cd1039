"""Where a model file keeps its weights: found without reading them, so that they can stay in the file.

An ONNX file is one protobuf message. Its initializers' ``raw_data`` fields are cut out by walking the wire
format (field number and wire type, then a length); what is left is small and parsed as usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsgraph.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stripped", "strip_weights"]

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""Field numbers in ModelProto, GraphProto and TensorProto (onnx.proto)."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SMALL = 1024
"""Weights up to this many bytes stay where they are: a map of them would only cost time."""


@dataclass(frozen=True, slots=True)
class Stripped:
    """A model message without its large weights.

    Attributes:
        message: the message that is left.
        places: offset and length in the file of each initializer's ``raw_data``, None where it was left in
            place; in the order of the initializers.
    """

    message: bytes
    places: list[tuple[int, int] | None]


def strip_weights(buffer: memoryview) -> Stripped:
    """Cut the initializers' raw data out of a serialised ModelProto.

    Raises:
        CheckpointError: the bytes are no protobuf message.
    """
    places: list[tuple[int, int] | None] = []
    parts: list[bytes] = []
    for number, start, content, end in _fields(buffer, 0, len(buffer)):
        if number == _GRAPH and content is not None:
            graph = b"".join(_graph(buffer, content, end, places))
            parts += [_key(_GRAPH), _varint(len(graph)), graph]
        else:
            parts.append(bytes(buffer[start:end]))
    return Stripped(b"".join(parts), places)


def _graph(buffer: memoryview, start: int, end: int, places: list[tuple[int, int] | None]) -> Iterator[bytes]:
    for number, begin, content, stop in _fields(buffer, start, end):
        if number != _INITIALIZER or content is None:
            yield bytes(buffer[begin:stop])
            continue
        place, rest = _tensor(buffer, content, stop)
        places.append(place)
        yield from (_key(_INITIALIZER), _varint(len(rest)), rest)


def _tensor(buffer: memoryview, start: int, end: int) -> tuple[tuple[int, int] | None, bytes]:
    """Where a TensorProto's raw data lies, and the message without it."""
    place, parts = None, []
    for number, begin, content, stop in _fields(buffer, start, end):
        if number == _RAW_DATA and content is not None and stop - content > _SMALL:
            place = (content, stop - content)
        else:
            parts.append(bytes(buffer[begin:stop]))
    return place, b"".join(parts)


def _fields(buffer: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int | None, int]]:
    """Number, start, start of the content (None for plain numbers) and end of each field."""
    at = start
    while at < end:
        begin = at
        key, at = _read_varint(buffer, at, end)
        number, kind = key >> 3, key & 7
        content = None
        if kind == _VARINT:
            _, at = _read_varint(buffer, at, end)
        elif kind == _BYTES:
            length, content = _read_varint(buffer, at, end)
            at = content + length
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        else:
            raise _damaged(f"a field of unknown kind at byte {begin}")
        if not number or at > end:
            raise _damaged(f"the field at byte {begin} reaches past the end")
        yield number, begin, content, at


def _read_varint(buffer: memoryview, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = buffer[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _damaged(f"a number is cut off at byte {at}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(number: int) -> bytes:
    return _varint(number << 3 | _BYTES)


def _damaged(what: str) -> CheckpointError:
    return CheckpointError(
        f"the file is no ONNX model, or is cut off: {what}", remedy="export or download it again"
    )
