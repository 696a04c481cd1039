"""Reading an ONNX file: the graph is parsed and checked, the weights stay in the file."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from wsgraph.errors import CheckpointError
from wsgraph.frontends.onnx.external import external_tensor
from wsgraph.frontends.onnx.four_bits import refuse_four_bit_results
from wsgraph.frontends.onnx.layout import strip_weights
from wsgraph.frontends.onnx.registry import OPSETS
from wsgraph.frontends.onnx.tensors import tensor_from_bytes, tensor_from_proto
from wsgraph.frontends.quiet import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message
    from torch import Tensor

__all__ = ["Opened", "read_file", "read_proto"]

_AGAIN = "export or download it again"
_LIMIT = 2**31
"""Bytes that one protobuf message may have."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model whose graph is checked.

    Attributes:
        model: the model, its stored tensors replaced by inputs.
        tensors: the stored tensors by name.
        opsets: version of each operator domain.
    """

    model: ModelProto
    tensors: dict[str, Tensor]
    opsets: dict[str, int]


def read_file(path: Path) -> Opened:
    """Read an ONNX file; weights stay memory-mapped where their alignment allows it.

    Raises:
        CheckpointError: the file is no ONNX model, damaged, too large or too new, or its weights are missing.
    """
    size = path.stat().st_size
    if not size or size >= _LIMIT:
        raise CheckpointError(
            f"{path.name} has {size} bytes; an ONNX file has some, and fewer than 2 GiB",
            remedy="save large models with onnx.save(..., save_as_external_data=True)" if size else _AGAIN,
        )
    with path.open("rb") as file:
        # Copy on write, as torch wants writable memory; the map lives as long as a tensor does.
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    try:
        stripped = strip_weights(mapped)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error.message}", remedy=error.remedy) from error
    model = _parsed(stripped.message, path.name)
    _check_text(model, path.name)
    # A link that the user names, as in Hugging Face's cache, stands for the file that it leads to.
    folders = tuple(dict.fromkeys((path.parent, path.resolve().parent)))
    tensors = {}
    for proto, place in zip(model.graph.initializer, stripped.places, strict=True):
        if place is None:
            tensors[proto.name] = _tensor(proto, folders)
        else:
            start, length = place
            raw = mapped[start : start + length]
            tensors[proto.name] = tensor_from_bytes(raw, proto.data_type, tuple(proto.dims), proto.name)
    return _checked(model, tensors, path.name)


def read_proto(model: ModelProto) -> Opened:
    """A model that is in memory already.

    Raises:
        CheckpointError: it is malformed, too new, or its weights lie in files.
        UnsupportedTypeError: it has elements of a type that torch lacks, or rounds to four bits.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    tensors = {proto.name: _tensor(proto, ()) for proto in copy.graph.initializer}
    return _checked(copy, tensors, "the ONNX model")


def _parsed(message: bytes, where: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(message)
    except DecodeError as error:
        raise CheckpointError(
            f"{where} is no ONNX model, or is cut off ({first_line(error, 120)})", remedy=_AGAIN
        ) from error
    return model


def _check_text(message: Message, where: str) -> None:
    """Protobuf does not look at its texts; onnx fails in many ways over one that is no UTF-8.

    Raises:
        CheckpointError: a name somewhere in the model is damaged.
    """
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if isinstance(value, Sequence) else (value,):
                _check_text(inner, where)
        elif field.type == field.TYPE_STRING:
            texts = (value,) if isinstance(value, str | bytes) else value
            if any(isinstance(text, bytes) for text in texts):
                raise CheckpointError(f"{where} is damaged: a {field.name} is no text", remedy=_AGAIN)


def _tensor(proto: TensorProto, folders: tuple[Path, ...]) -> Tensor:
    if proto.data_location == TensorProto.EXTERNAL:
        return external_tensor(proto, folders)
    return tensor_from_proto(proto)


def _checked(model: ModelProto, tensors: dict[str, Tensor], where: str) -> Opened:
    """Check versions and structure, with the stored tensors turned into inputs of the graph."""
    opsets = _versions(model, where)
    if model.graph.sparse_initializer:
        raise CheckpointError(
            f"{where} stores sparse tensors, which are not read", remedy="store them densely"
        )
    if len(tensors) < len(model.graph.initializer):
        raise CheckpointError(f"{where} stores two tensors of one name", remedy=_AGAIN)
    inputs = {i.name for i in model.graph.input}
    for proto in model.graph.initializer:
        if proto.name not in inputs:
            kind = onnx.helper.make_tensor_type_proto(proto.data_type, list(proto.dims))
            model.graph.input.append(onnx.helper.make_value_info(proto.name, kind))
    del model.graph.initializer[:]
    try:
        onnx.checker.check_model(_with_shapes(model), check_custom_domain=False)
        refuse_four_bit_results(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{where} is no valid ONNX model: {_reason(error)}", remedy=_AGAIN) from error
    return Opened(model, tensors, opsets)


def _with_shapes(model: ModelProto) -> ModelProto:
    """A copy in which inputs and outputs have a shape: the checker wants one, other tools do not."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for info in (*copy.graph.input, *copy.graph.output):
        if info.type.HasField("tensor_type"):
            info.type.tensor_type.shape.SetInParent()
    return copy


def _reason(error: Exception) -> str:
    """What the checker says, but for where it was in its own code and in the whole model."""
    said = str(error).partition("\n\n")[0].partition("\n==>")[0]
    return " ".join(said.split())[:240] or type(error).__name__


def _versions(model: ModelProto, where: str) -> dict[str, int]:
    """The operator domains that the model imports, ONNX's own among them."""
    if not model.ir_version or not model.graph.output:
        raise CheckpointError(f"{where} is no ONNX model: it has no graph with outputs", remedy=_AGAIN)
    if model.ir_version > onnx.IR_VERSION:
        raise CheckpointError(
            f"{where} is of IR version {model.ir_version}, newer than {onnx.IR_VERSION}",
            remedy="install a newer onnx package, or export for an older version",
        )
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    version = opsets.setdefault("", 1) if model.ir_version < 3 else opsets.get("")
    first, last = OPSETS
    if version is not None and not first <= version <= min(last, onnx.defs.onnx_opset_version()):
        raise CheckpointError(
            f"{where} is of opset {version}, expected {first} to {min(last, onnx.defs.onnx_opset_version())}",
            remedy="convert it with onnx.version_converter.convert_version, or export it again",
        )
    return opsets
