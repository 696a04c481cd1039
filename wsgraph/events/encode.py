"""A structure as plain JSON data; :mod:`wsgraph.events.decode` is the way back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

from wsgraph.events.bits import tensor_bytes
from wsgraph.events.blocks import (
    AttrValue,
    Derived,
    EdgeBlock,
    Feature,
    Learned,
    NodeBlock,
    NodeView,
    ParamView,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsgraph.events.structure import Structure, TensorSpec

__all__ = ["JsonObject", "encode_structure"]

JsonObject: TypeAlias = dict[str, Any]


def encode_structure(structure: Structure) -> JsonObject:
    """The structure as dictionaries, lists, strings and numbers.

    Index tensors are represented by their shape, dtype and SHA-256: their bytes travel beside the JSON.
    """
    return {
        "tensors": [_tensor(spec) for spec in structure.tensors.values()],
        "indices": [_index(name, tensor) for name, tensor in sorted(structure.indices.items())],
        "derived": [_derived(derived) for _, derived in sorted(structure.derived.items())],
        "nodes": [_node(node) for node in structure.nodes],
        "edges": [_edge(edge) for edge in structure.edges],
        "meta": _attrs(structure.meta),
    }


def _tensor(spec: TensorSpec) -> JsonObject:
    out: JsonObject = {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype, "kind": spec.kind}
    if spec.tied_to is not None:
        out["tied_to"] = spec.tied_to
    if spec.unread is not None:
        out["unread"] = spec.unread
    return out


def _index(name: str, tensor: Tensor) -> JsonObject:
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "sha256": hashlib.sha256(tensor_bytes(tensor)).hexdigest(),
    }


def _derived(derived: Derived) -> JsonObject:
    return {
        "name": derived.name,
        "shape": list(derived.shape),
        "sources": list(derived.sources),
        "recipe": derived.recipe,
    }


def _node(node: NodeBlock) -> JsonObject:
    return {
        "id": node.id,
        "size": node.size,
        "t": node.t,
        "features": {name: _param_view(view) for name, view in sorted(node.features.items())},
        "attrs": _attrs(node.attrs),
    }


def _edge(edge: EdgeBlock) -> JsonObject:
    out: JsonObject = {
        "id": edge.id,
        "src": _node_view(edge.src),
        "dst": edge.dst,
        "t": edge.t,
        "pattern": str(edge.pattern),
        "shape": list(edge.shape),
        "feature": _feature(edge.feature),
        "attrs": _attrs(edge.attrs),
    }
    if edge.coo is not None:
        out["coo"] = edge.coo
    return out


def _node_view(view: NodeView) -> JsonObject:
    out: JsonObject = {
        "parts": [[part.block, part.start, part.stop] for part in view.parts],
        "size": view.size,
    }
    if view.index is not None:
        out["index"] = view.index
    return out


def _feature(feature: Feature) -> JsonObject:
    if isinstance(feature, Learned):
        return {"learned": feature.tag, "scale": float(feature.scale)}
    return _param_view(feature)


def _param_view(view: ParamView) -> JsonObject:
    out: JsonObject = {"tensor": view.name, "shape": list(view.shape)}
    if view.index is not None:
        return out | {"index": view.index}
    assert view.strides is not None
    return out | {"strides": list(view.strides), "offset": view.offset}


def _attrs(attrs: Mapping[str, AttrValue]) -> JsonObject:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(attrs.items())}
