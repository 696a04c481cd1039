"""Operators that ONNX itself defines by simpler ones: their definitions are used where no ATen twin is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import FunctionProto, NodeProto, TypeProto
from torch import Tensor

from wsgraph.frontends.onnx.tensors import DTYPES
from wsgraph.ir.graph import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsgraph.frontends.onnx.emitter import Operand

__all__ = ["schema_function"]

_TYPES = {dtype: number for number, dtype in DTYPES.items()}


def schema_function(
    proto: NodeProto, opset: int, inputs: Sequence[Operand], opsets: Mapping[str, int]
) -> FunctionProto | None:
    """The body that the ONNX standard gives for an operator, or None if it has none.

    Args:
        proto: the node.
        opset: the version of its domain.
        inputs: what its inputs stand for; some definitions depend on their types.
        opsets: all domains' versions.
    """
    try:
        schema: Any = onnx.defs.get_schema(proto.op_type, opset, proto.domain)
    except onnx.defs.SchemaError:
        return None
    newest = opsets.get("", opset)
    if schema.has_context_dependent_function:
        text = _fitting(schema, proto, inputs, newest)
    else:
        versions = [v for v in schema.function_opset_versions if v <= newest]
        text = schema.get_function_with_opset_version(max(versions)) if versions else None
    if not text:
        return None
    body = FunctionProto()
    body.ParseFromString(text if isinstance(text, bytes) else text.SerializeToString())
    body.attribute_proto.extend(_defaults(schema, body))
    return body


def _fitting(schema: Any, proto: NodeProto, inputs: Sequence[Operand], newest: int) -> bytes | None:
    """A definition that depends on the node's attributes and the types of its inputs."""
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= newest]
    if not versions or not _typed(schema, inputs):
        return None
    types = [_type(i).SerializeToString() for i in inputs]
    text: bytes = schema.get_context_dependent_function_with_opset_version(
        max(versions), proto.SerializeToString(), types
    )
    return text


def _typed(schema: Any, inputs: Sequence[Operand]) -> bool:
    """Whether the library can work out a definition: it reads types that are not there without looking."""
    enough = schema.min_input <= len(inputs) <= schema.max_input
    return bool(enough) and all(i is None or isinstance(i, Value | Tensor) for i in inputs)


def _defaults(schema: Any, body: FunctionProto) -> list[onnx.AttributeProto]:
    """Default values of the operator's attributes, which its definition may refer to."""
    known = {a.name for a in body.attribute_proto}
    found = []
    for name, attribute in schema.attributes.items():
        if name not in known and attribute.default_value.type:
            found.append(attribute.default_value)
    return found


def _type(operand: Operand) -> TypeProto:
    proto = TypeProto()
    if isinstance(operand, Value | Tensor):
        proto.tensor_type.elem_type = _TYPES[operand.dtype]
        for size in operand.shape:
            proto.tensor_type.shape.dim.add().dim_value = size
    return proto
