"""A transformer over nodes with relational attention (Diao & Loynd 2023; NG-T of Kofinas et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.baselines.config import StaticConfig
from wsgraph_encoders.baselines.features import GraphFeatures, encode_groups, read_out
from wsgraph_encoders.baselines.pairs import pair_positions
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from wsgraph_encoders.batch import Batch, Group
    from wsgraph_encoders.dng import Encoded
    from wsgraph_encoders.program import Link

__all__ = ["NodeTransformer"]


class NodeTransformer(nn.Module):
    """All nodes attend to all nodes; the edges between two, in either direction, enter keys and values.

    Permuting neurons permutes node features and leaves the embedding as it is. Memory is quadratic in the
    number of nodes.

    Args:
        config: sizes.
    """

    def __init__(self, config: StaticConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StaticConfig()
        self.features = GraphFeatures(config)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))

    def forward(self, batch: Batch) -> Encoded:
        """Encode a batch of networks of any architectures; ``memories`` are the last node features.

        Raises:
            CheckpointError: a weight is NaN or infinite.
            EncoderError: a network has more nodes than ``max_nodes``.
        """
        return encode_groups(batch, self._encode)

    def _encode(self, group: Group) -> tuple[Tensor, dict[int, Tensor]]:
        sizes = {step.node.id: step.node.size for step in group.program.steps}
        total = sum(sizes.values())
        if total > self.config.max_nodes:
            raise EncoderError(
                f"a transformer over {total:,} nodes would need {total**2:,} pairs; max_nodes is "
                f"{self.config.max_nodes:,}",
                remedy="raise StaticConfig.max_nodes, or use StaticEncoder",
            )
        x = torch.cat(list(self.features.nodes(group).values()), 1)
        relations = self._relations(group, _starts(sizes), total)
        for layer in self.layers:
            x = layer(x, relations)
        nodes = dict(zip(sizes, torch.split(x, list(sizes.values()), 1), strict=True))
        return read_out(group, nodes, every=self.config.readout == "all"), nodes

    def _relations(self, group: Group, starts: dict[int, int], total: int) -> Tensor:
        """What connects node i with node j, ``[batch, i, j, 2·edge_width]``: edges from j, and edges to j."""
        width = self.config.edge_width
        into = self.features.weight.weight.new_zeros(len(group.streams), total * total, width)
        for step in group.program.steps:
            for link, edge in zip(step.links, self.features.edges(group, step), strict=True):
                src, dst = pair_positions(link.wiring)
                place = (starts[step.node.id] + dst) * total + _source_numbers(link, starts)[src]
                into = into.index_add(1, place.to(into.device), edge.flatten(1, -2))
        into = into.view(len(into), total, total, width)
        return torch.cat([into, into.transpose(1, 2)], -1)


def _starts(sizes: dict[int, int]) -> dict[int, int]:
    """Number of each block's first node."""
    starts, total = {}, 0
    for block, size in sizes.items():
        starts[block] = total
        total += size
    return starts


def _source_numbers(link: Link, starts: dict[int, int]) -> Tensor:
    """Numbers of the nodes of a link's source view, ``[n_src]``."""
    parts = [starts[p.block] + torch.arange(p.start, p.stop) for p in link.view.parts]
    joined = torch.cat(parts)
    return joined if link.index is None else joined[link.index]


class _Layer(nn.Module):
    """Attention with relations, then an MLP, each with a residual; normalised first.

    A relation r_ij adds to the key, k_ij = W_k x_j + U_k r_ij, and scales the value by an edge's message
    (the multiplicative modulation of NG-T): v_ij = (1 + U_v r_ij) ⊙ W_v x_j.
    """

    def __init__(self, config: StaticConfig) -> None:
        super().__init__()
        hidden, self.heads = config.hidden, config.heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.key_relation = nn.Linear(2 * config.edge_width, hidden, bias=False)
        self.value_relation = nn.Linear(2 * config.edge_width, hidden, bias=False)
        self.out = nn.Linear(hidden, hidden)
        self.mlp = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))

    def forward(self, x: Tensor, relations: Tensor) -> Tensor:
        """``[batch, nodes, hidden]`` to the same.

        Args:
            x: node features.
            relations: ``[batch, nodes, nodes, 2·edge_width]``.
        """
        heads = (self.heads, -1)
        query, key, value = (part.unflatten(-1, heads) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        by_key = self.key_relation(relations).unflatten(-1, heads)
        by_value = self.value_relation(relations).unflatten(-1, heads)
        logits = torch.einsum("bihd,bjhd->bijh", query, key) + torch.einsum("bihd,bijhd->bijh", query, by_key)
        attention = (logits * query.shape[-1] ** -0.5).softmax(2)
        mixed = torch.einsum("bijh,bjhd->bihd", attention, value)
        modulated = torch.einsum("bijh,bijhd,bjhd->bihd", attention, by_value, value)
        x = x + self.out((mixed + modulated).flatten(2))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result
