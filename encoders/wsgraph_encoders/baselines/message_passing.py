"""Static message passing with edge updates (sections 3.2 and 7; Kofinas et al. 2024, NG-GNN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from wsgraph_encoders.baselines.config import StaticConfig
from wsgraph_encoders.baselines.features import GraphFeatures, encode_groups, read_out
from wsgraph_encoders.baselines.pairs import at_destinations, at_sources, sum_at_destinations
from wsgraph_encoders.program import gather_sources

if TYPE_CHECKING:
    from wsgraph_encoders.batch import Batch, Group
    from wsgraph_encoders.dng import Encoded
    from wsgraph_encoders.program import Link

__all__ = ["StaticEncoder"]


class StaticEncoder(nn.Module):
    """The whole graph at once, several rounds: in each, all nodes hear from all their sources (Eq. 2).

    Permuting neurons permutes node features and leaves the embedding as it is. Memory is
    O(edges · hidden): this is a baseline, for networks of up to about a million edges.

    Args:
        config: sizes.
    """

    def __init__(self, config: StaticConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StaticConfig()
        self.features = GraphFeatures(config)
        self.rounds = nn.ModuleList(
            _Round(config, edge_update=number < config.layers - 1) for number in range(config.layers)
        )

    def forward(self, batch: Batch) -> Encoded:
        """Encode a batch of networks of any architectures; ``memories`` are the last node features.

        Raises:
            CheckpointError: a weight is NaN or infinite.
        """
        return encode_groups(batch, self._encode)

    def _encode(self, group: Group) -> tuple[Tensor, dict[int, Tensor]]:
        nodes = self.features.nodes(group)
        edges = {step.node.id: self.features.edges(group, step) for step in group.program.steps}
        for once in self.rounds:
            nodes, edges = once(group, nodes, edges)
        return read_out(group, nodes, every=self.config.readout == "all"), nodes


class _Round(nn.Module):
    """φ_m, φ_u and the edge update of one round, shared by all nodes and edges.

    Args:
        config: sizes.
        edge_update: False in the last round, whose edges nobody reads.
    """

    def __init__(self, config: StaticConfig, *, edge_update: bool) -> None:
        super().__init__()
        hidden, width = config.hidden, config.edge_width
        # φ_m and φ_e begin with a linear map of a concatenation: a sum of linear maps, each at its own size.
        self.message_source = nn.Linear(hidden, hidden)
        self.message_edge = nn.Linear(width, hidden, bias=False)
        self.message_out = nn.Linear(hidden, hidden)
        self.update_message = nn.Linear(hidden, hidden)
        self.update_node = nn.Linear(hidden, hidden, bias=False)
        self.update_out = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.edge = _EdgeUpdate(hidden, width) if edge_update else None

    def forward(
        self, group: Group, nodes: dict[int, Tensor], edges: dict[int, list[Tensor]]
    ) -> tuple[dict[int, Tensor], dict[int, list[Tensor]]]:
        """New node features and new edge features, all from the old ones."""
        new_nodes, new_edges = {}, {}
        for step in group.program.steps:
            block = step.node.id
            x, own = nodes[block], edges[block]
            pairs = list(zip(step.links, own, strict=True))
            inner = self.update_node(x)
            for link, edge in pairs:
                inner = inner + self.update_message(self._message(link, edge, nodes))
            new_nodes[block] = self.norm(x + self.update_out(inner.relu()))
            new_edges[block] = [self.edge(link, edge, nodes, x) for link, edge in pairs] if self.edge else own
        return new_nodes, new_edges

    def _message(self, link: Link, edge: Tensor, nodes: dict[int, Tensor]) -> Tensor:
        """Σ_j φ_m(v_j, e_ij), ``[batch, n_dst, hidden]``; φ_m's second linear map waits until the sum."""
        source = self.message_source(gather_sources(link, nodes))
        inner = (self.message_edge(edge) + at_sources(link.wiring, source)).relu()
        summed = sum_at_destinations(link.wiring, inner)
        degree = link.wiring.in_degree(summed)
        result: Tensor = summed @ self.message_out.weight.t() + degree * self.message_out.bias
        return result


class _EdgeUpdate(nn.Module):
    """φ_e of the edge, its source and its destination."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.edge = nn.Linear(width, width)
        self.source = nn.Linear(hidden, width, bias=False)
        self.destination = nn.Linear(hidden, width, bias=False)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, link: Link, edge: Tensor, nodes: dict[int, Tensor], destination: Tensor) -> Tensor:
        """``[batch, *wiring.shape, width]``."""
        source = at_sources(link.wiring, self.source(gather_sources(link, nodes)))
        target = at_destinations(link.wiring, self.destination(destination))
        result: Tensor = self.norm(edge + self.out((self.edge(edge) + source + target).relu()))
        return result
