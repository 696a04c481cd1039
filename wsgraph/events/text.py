"""The text form of the events: one line an event, grouped by timestamp, for people and for tests.

t=1
  +V  n1   hidden  32  "net.0"  bias=net.0.bias[0; 32; 1]  activation=relu
  +E  e0   n0 -> n1  dense 32x2x1  "net.0"  net.0.weight[0; 32x2x1; 2,1,1]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.events.blocks import AttrValue, EdgeBlock, Feature, Learned, NodeBlock, NodeView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wsgraph.events.schedule import Event
    from wsgraph.events.structure import Structure

__all__ = ["events_text", "feature_text", "node_view_text"]


def events_text(structure: Structure) -> str:
    """All events of a structure, timestamp by timestamp."""
    return "\n".join(_lines(structure)) + "\n"


def _lines(structure: Structure) -> Iterator[str]:
    t = -1
    for event in structure.schedule.events():
        if event.t != t:
            t = event.t
            yield f"t={t}"
        yield f"  {event.kind}  {_block_text(event, structure)}"


def _block_text(event: Event, structure: Structure) -> str:
    match event.kind:
        case "+V":
            node = structure.node_by_id[event.block]
            return _node_text(node) if event.t == node.t else f"n{node.id}  again"
        case "+E":
            return _edge_text(structure.edge_by_id[event.block], structure)
        case "-V":
            return f"n{event.block}"
        case "-E":
            return f"e{event.block}"


def _node_text(node: NodeBlock) -> str:
    words = [f"n{node.id}", str(node.attrs.get("role", "node")), str(node.size), *_scope(node.attrs)]
    words += [f"{name}={feature_text(view)}" for name, view in node.features.items()]
    return "  ".join([*words, *_other_attrs(node.attrs)])


def _edge_text(edge: EdgeBlock, structure: Structure) -> str:
    ends = f"{node_view_text(edge.src, structure)} -> n{edge.dst}"
    words = [f"e{edge.id}", ends, f"{edge.pattern} {_sizes(edge.shape)}"]
    if edge.coo is not None:
        words.append(f"coo={edge.coo}")
    return "  ".join([*words, *_scope(edge.attrs), feature_text(edge.feature), *_other_attrs(edge.attrs)])


def node_view_text(view: NodeView, structure: Structure) -> str:
    """A node view such as ``n3`` (a whole block), ``n3[0:16]``, ``n3+n5`` or ``{n3+n5}@gather``."""
    joined = "+".join(
        f"n{part.block}"
        if part.size == structure.node_by_id[part.block].size
        else f"n{part.block}[{part.start}:{part.stop}]"
        for part in view.parts
    )
    return joined if view.index is None else f"{{{joined}}}@{view.index}"


def feature_text(feature: Feature) -> str:
    """A feature: ``name[offset; shape; strides]``, ``name[index; shape]`` or ``learned tag``."""
    if isinstance(feature, Learned):
        return f"learned {feature.tag}" + ("" if feature.scale == 1 else f" x{feature.scale:g}")
    if feature.index is not None:
        return f"{feature.name}[{feature.index}; {_sizes(feature.shape)}]"
    strides = ",".join(str(stride) for stride in feature.strides or ())
    return f"{feature.name}[{feature.offset}; {_sizes(feature.shape)}; {strides}]"


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(str(size) for size in shape)


def _scope(attrs: Mapping[str, AttrValue]) -> list[str]:
    return [f'"{attrs["scope"]}"'] if attrs.get("scope") else []


def _other_attrs(attrs: Mapping[str, AttrValue]) -> list[str]:
    return [
        f"{name}={','.join(str(item) for item in value) if isinstance(value, tuple) else value}"
        for name, value in sorted(attrs.items())
        if name not in {"scope", "role"}
    ]
