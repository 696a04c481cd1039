"""What the static encoders start from: features of all nodes and all edges, at once (section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph.events.blocks import Learned
from wsgraph_encoders.dng import Encoded
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.fourier import FourierFeatures
from wsgraph_encoders.program import EDGE_KINDS
from wsgraph_encoders.sources import SourcesByRole, place_features
from wsgraph_encoders.tags import TagVectors
from wsgraph_encoders.values import edge_weights, node_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wsgraph_encoders.baselines.config import StaticConfig
    from wsgraph_encoders.batch import Batch, Group
    from wsgraph_encoders.program import Link, Step

__all__ = ["GraphFeatures", "encode_groups", "read_out"]

_PLACE_WIDTH = 16


class GraphFeatures(nn.Module):
    """Nodes start from their shift, the kind of their layer and its timestamp; edges from their weights.

    Parallel edges are averaged, each scaled by a learned function of its position.

    Args:
        config: sizes.
    """

    def __init__(self, config: StaticConfig) -> None:
        super().__init__()
        features = 2 * config.frequencies
        self.fourier = FourierFeatures(config.frequencies, config.fourier_scale)
        self.tags = TagVectors(None, features)
        self.sources = SourcesByRole(config.hidden)
        self.shift = nn.Linear(features, config.hidden)
        self.extra = nn.Linear(features, config.hidden, bias=False)
        self.kind = nn.Embedding(len(EDGE_KINDS), config.hidden)
        self.time = nn.Linear(_PLACE_WIDTH, config.hidden)
        self.weight = nn.Linear(features, config.edge_width)
        self.position = nn.Linear(_PLACE_WIDTH, config.edge_width)

    def nodes(self, group: Group) -> dict[int, Tensor]:
        """Features ``[batch, n, hidden]`` by block.

        Raises:
            CheckpointError: a weight is NaN or infinite.
        """
        batch = len(group.streams)
        return {step.node.id: self._block(group, step).expand(batch, -1, -1) for step in group.program.steps}

    def edges(self, group: Group, step: Step) -> list[Tensor]:
        """For each link of a step the features of its edges, ``[batch, *wiring.shape, edge_width]``.

        Raises:
            CheckpointError: a weight is NaN or infinite.
        """
        return [self._link(group, step, link) for link in step.links]

    def _block(self, group: Group, step: Step) -> Tensor:
        if not step.links:
            learned: Tensor = self.sources(step, 0)
            return learned
        dtype = self.fourier.b.dtype
        place = place_features(step.node.t + 1, self.fourier.b)[-1]
        start = self.kind.weight[EDGE_KINDS.index(step.kind)] + self.time(place)
        x: Tensor = start.expand(1, step.node.size, -1)
        for name in step.features:
            values = node_values(group, step, name, dtype)
            if values is not None:
                x = x + (self.shift if name == "bias" else self.extra)(self.fourier(values))
        return x

    def _link(self, group: Group, step: Step, link: Link) -> Tensor:
        feature, shape = link.edge.feature, link.wiring.shape
        if link.kind == "learned":
            assert isinstance(feature, Learned)
            vector = self.tags.by_tag(group.structure)[feature.tag] * (feature.scale * link.edge.multiplicity)
            learned: Tensor = self.weight(vector)
            return learned.expand(len(group.streams), *shape, -1)
        weights = edge_weights(group, link, step, self.fourier.b.dtype)
        edges = self.weight(self.fourier(weights))  # [batch, *shape, m, edge_width]
        scale = 1 + self.position(place_features(edges.shape[-2], edges))
        averaged: Tensor = (edges * scale).mean(-2)
        return averaged


def encode_groups(batch: Batch, encode: Callable[[Group], tuple[Tensor, Mapping[int, Tensor]]]) -> Encoded:
    """Encode group after group and put the results into the order of the batch.

    Args:
        batch: the streams.
        encode: from a group to embeddings ``[streams, d]`` and, by block, node features
            ``[streams, n, hidden]``.
    """
    rows: dict[int, tuple[Tensor, Mapping[int, Tensor]]] = {}
    for group in batch.groups:
        embedding, nodes = encode(group.fresh())
        for row, position in enumerate(group.positions):
            rows[position] = embedding[row], {block: features[row] for block, features in nodes.items()}
    if len(rows) != batch.size:
        raise EncoderError(f"the batch has {batch.size} streams, but its groups hold {len(rows)}")
    ordered = [rows[position] for position in range(batch.size)]
    return Encoded(torch.stack([embedding for embedding, _ in ordered]), tuple(nodes for _, nodes in ordered))


def read_out(group: Group, nodes: Mapping[int, Tensor], *, every: bool) -> Tensor:
    """Mean over the output nodes, or over all nodes: ``[batch, hidden]``."""
    blocks = nodes.keys() if every else group.program.outputs
    return torch.cat([nodes[block] for block in blocks], 1).mean(1)
