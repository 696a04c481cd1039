"""A structure from JSON data, every field checked; :mod:`wsgraph.events.encode` is the way there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wsgraph.errors import FileFormatError
from wsgraph.events.bits import tensor_bytes
from wsgraph.events.blocks import (
    AttrValue,
    Derived,
    EdgeBlock,
    Feature,
    Learned,
    NodeBlock,
    NodeSlice,
    NodeView,
    ParamView,
    Pattern,
)
from wsgraph.events.schema import Fields, read_object
from wsgraph.events.structure import Structure, TensorKind, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["decode_structure"]

Named = TypeVar("Named", TensorSpec, Derived)


def decode_structure(document: object, read_index: Callable[[str], Tensor]) -> Structure:
    """The structure that :func:`~wsgraph.events.encode.encode_structure` has written.

    Types, ranges and the index tensors' bytes are checked here; whether the blocks fit together is
    :meth:`Structure.validate`'s question.

    Args:
        document: the JSON data.
        read_index: gives the index tensor of a name.

    Raises:
        FileFormatError: a field is missing, unknown, of another type or out of range.
    """

    def read(fields: Fields) -> Structure:
        return Structure(
            tensors=_by_name(fields.each("tensors", _tensor), "tensors"),
            indices=dict(fields.each("indices", lambda entry: _index(entry, read_index))),
            derived=_by_name(fields.each("derived", _derived), "derived"),
            nodes=tuple(fields.each("nodes", _node)),
            edges=tuple(fields.each("edges", _edge)),
            meta=_attrs(fields, "meta"),
        )

    return read_object(document, "structure", read)


def _by_name(entries: list[Named], where: str) -> dict[str, Named]:
    named = {entry.name: entry for entry in entries}
    if len(named) != len(entries):
        raise FileFormatError(f"structure.{where} holds a name twice")
    return named


def _tensor(fields: Fields) -> TensorSpec:
    return TensorSpec(
        name=fields.text("name"),
        shape=fields.naturals("shape"),
        dtype=fields.text("dtype"),
        kind=cast("TensorKind", fields.choice("kind", ("parameter", "buffer"))),
        tied_to=fields.optional_text("tied_to"),
        unread=fields.optional_text("unread"),
    )


def _index(fields: Fields, read_index: Callable[[str], Tensor]) -> tuple[str, Tensor]:
    name, shape = fields.text("name"), fields.naturals("shape")
    dtype = fields.choice("dtype", ("int32", "int64"))
    tensor = read_index(name)
    if tuple(tensor.shape) != shape or str(tensor.dtype) != f"torch.{dtype}":
        raise FileFormatError(
            f"index tensor {name!r} is {list(tensor.shape)} {tensor.dtype}, expected {list(shape)} {dtype}"
        )
    if fields.text("sha256") != hashlib.sha256(tensor_bytes(tensor)).hexdigest():
        raise FileFormatError(f"index tensor {name!r} is not the one that was written: its SHA-256 differs")
    return name, tensor


def _derived(fields: Fields) -> Derived:
    return Derived(
        name=fields.text("name"),
        shape=fields.naturals("shape"),
        sources=fields.texts("sources"),
        recipe=fields.text("recipe"),
    )


def _node(fields: Fields) -> NodeBlock:
    where = f"{fields.where}.features"
    return NodeBlock(
        id=fields.natural("id"),
        size=fields.natural("size"),
        t=fields.natural("t"),
        features={
            name: read_object(view, f"{where}.{name}", _param_view)
            for name, view in fields.named("features").items()
        },
        attrs=_attrs(fields, "attrs"),
    )


def _edge(fields: Fields) -> EdgeBlock:
    return EdgeBlock(
        id=fields.natural("id"),
        src=read_object(fields.take("src"), f"{fields.where}.src", _node_view),
        dst=fields.natural("dst"),
        t=fields.natural("t"),
        pattern=Pattern(fields.choice("pattern", tuple(Pattern))),
        shape=fields.naturals("shape"),
        feature=read_object(fields.take("feature"), f"{fields.where}.feature", _feature),
        attrs=_attrs(fields, "attrs"),
        coo=fields.optional_text("coo"),
    )


def _node_view(fields: Fields) -> NodeView:
    parts = []
    for i, part in enumerate(fields.items("parts")):
        bounds = Fields({"part": part}, f"{fields.where}.parts[{i}]").naturals("part")
        if len(bounds) != 3:
            raise FileFormatError(f"{fields.where}.parts[{i}] is {part!r}, expected [block, start, stop]")
        parts.append(NodeSlice(*bounds))
    return NodeView(tuple(parts), fields.natural("size"), fields.optional_text("index"))


def _feature(fields: Fields) -> Feature:
    if "learned" in fields:
        return Learned(fields.text("learned"), fields.number("scale"))
    return _param_view(fields)


def _param_view(fields: Fields) -> ParamView:
    name, shape = fields.text("tensor"), fields.naturals("shape")
    if "index" in fields:
        return ParamView(name, shape, None, index=fields.text("index"))
    return ParamView(name, shape, fields.naturals("strides"), fields.natural("offset"))


def _attrs(fields: Fields, name: str) -> dict[str, AttrValue]:
    where = f"{fields.where}.{name}"
    return {key: _attr(value, f"{where}.{key}") for key, value in fields.named(name).items()}


def _attr(value: Any, where: str) -> AttrValue:
    if isinstance(value, list) and (
        all(type(item) is str for item in value) or all(type(item) is int for item in value)
    ):
        return tuple(value)
    if isinstance(value, str | int | float):
        return value
    raise FileFormatError(
        f"{where} is {type(value).__name__}, expected a string, a number, or a list of one of these"
    )
