"""Where in the module tree a node comes from, and from which module, as far as the exporter wrote it down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.frontends.onnx.records import entry, text_list

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["module_of", "scope_of"]

_SCOPES, _MODULES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"


def scope_of(proto: NodeProto) -> str:
    """``layer1.0.conv1``; the node's own name where the exporter left no trace of modules."""
    scope = _innermost(proto, _SCOPES)
    if scope is not None:
        return scope
    if proto.name.startswith("/"):
        return _joined(proto.name.strip("/").split("/")[:-1])
    return proto.name


def module_of(proto: NodeProto) -> str | None:
    """``torch.nn.modules.conv.Conv2d``; None where the exporter left no trace of modules."""
    return _innermost(proto, _MODULES)


def _innermost(proto: NodeProto, key: str) -> str | None:
    """The last but one of ``['', 'layer1', 'layer1.0', 'conv2d']``, whose last is the operator."""
    scopes = text_list(entry(proto.metadata_props, key))
    return scopes[-2] if len(scopes) > 1 else None


def _joined(parts: list[str]) -> str:
    """``layer1``, ``layer1.0``, ``conv1``, as the older exporter writes it, to ``layer1.0.conv1``."""
    path = ""
    for part in parts:
        path = part if not path or part.startswith(f"{path}.") else f"{path}.{part}"
    return path
