"""The attributes of ONNX nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, NodeProto, TensorProto

from wsgraph.frontends.onnx.tensors import shortest, tensor_from_proto

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["attributes_of", "data_of", "with_attributes"]


def attributes_of(proto: NodeProto, given: Mapping[str, AttributeProto]) -> dict[str, AttributeProto]:
    """A node's attributes, those that a function hands on replaced by what the call passes."""
    found: dict[str, AttributeProto] = {}
    for attribute in proto.attribute:
        if not attribute.ref_attr_name:
            found[attribute.name] = attribute
        elif attribute.ref_attr_name in given:
            found[attribute.name] = given[attribute.ref_attr_name]
    return found


def with_attributes(proto: NodeProto, attributes: Mapping[str, AttributeProto]) -> NodeProto:
    """The node with the attributes that it really has."""
    node = NodeProto()
    node.CopyFrom(proto)
    del node.attribute[:]
    for name, attribute in attributes.items():
        node.attribute.add().CopyFrom(attribute)
        node.attribute[-1].name = name
    return node


def data_of(attribute: AttributeProto) -> Any:
    """An attribute as Python data; tensors as torch's, subgraphs as they are."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if attribute.type == AttributeProto.STRINGS:
        return [v.decode("utf-8", errors="replace") for v in value]
    if isinstance(value, TensorProto):
        return value if value.data_type == TensorProto.STRING else tensor_from_proto(value)
    if attribute.type == AttributeProto.FLOAT:
        return shortest(value)
    if attribute.type == AttributeProto.FLOATS:
        return [shortest(v) for v in value]
    return list(value) if attribute.type == AttributeProto.INTS else value
