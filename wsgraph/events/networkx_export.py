"""Export to networkx: one node a neuron, one edge a scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.events.blocks import Learned
from wsgraph.events.scalar_edges import node_offsets, scalar_edges

if TYPE_CHECKING:
    import networkx as nx

    from wsgraph.events.stream import EventStream, Snapshot

__all__ = ["to_networkx"]


def to_networkx(stream: EventStream, snapshot: Snapshot | None = None) -> nx.MultiDiGraph:
    """The graph of one snapshot, or the union over all timestamps.

    Nodes are numbered in stream order and have the attributes ``block``, ``index`` (place in the block),
    ``role``, ``scope``, ``t`` (of the block's first addition) and one a feature (``bias``). Edges have
    ``value``, ``block``, ``t``, ``parallel`` and, where the feature is learned, ``learned`` (its tag; the
    value is its scale then).
    """
    import networkx as nx

    graph = nx.MultiDiGraph(fingerprint=stream.fingerprint)
    offsets = node_offsets(stream.structure)
    for block in stream.node_blocks if snapshot is None else snapshot.node_blocks:
        features = {name: stream.feature(view).tolist() for name, view in block.features.items()}
        shared = {"block": block.id, "t": block.t} | {
            name: block.attrs[name] for name in ("role", "scope") if name in block.attrs
        }
        for index in range(block.size):
            own = {name: values[index] for name, values in features.items()}
            graph.add_node(offsets[block.id] + index, index=index, **shared, **own)
    for chunk in scalar_edges(stream, stream.edge_blocks if snapshot is None else snapshot.edge_blocks):
        feature = chunk.block.feature
        shared = {"block": chunk.block.id, "t": chunk.block.t}
        if isinstance(feature, Learned):
            shared["learned"] = feature.tag
        columns = (chunk.src.tolist(), chunk.dst.tolist(), chunk.parallel.tolist(), chunk.value.tolist())
        graph.add_edges_from(
            (src, dst, {"value": value, "parallel": parallel, **shared})
            for src, dst, parallel, value in zip(*columns, strict=True)
        )
    return graph
