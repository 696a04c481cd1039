"""Static and dynamic message passing with the same φ_m and φ_u, fitting activations (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from wsgraph_encoders.experiments.random_mlps import FitData

__all__ = ["DynamicFit", "Message", "StaticFit", "Update"]


class Message(nn.Module):
    """φ_m: the source's features and the edge's, concatenated, through a two-layer MLP; summed over sources.

    Args:
        hidden: width of all features.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.source = nn.Linear(hidden, hidden)
        self.edge = nn.Linear(hidden, hidden, bias=False)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, source: Tensor, edge: Tensor) -> Tensor:
        """``[batch, n_src, h]`` and ``[batch, n_dst, n_src, h]`` to ``[batch, n_dst, h]``.

        The first linear map of a concatenation is the sum of two; the second one waits until after the sum.
        """
        inner = (self.source(source).unsqueeze(1) + self.edge(edge)).relu().sum(2)
        result: Tensor = inner @ self.out.weight.t() + source.shape[1] * self.out.bias
        return result


class Update(nn.Module):
    """φ_u: the message and the target's own features, concatenated, through a two-layer MLP.

    Args:
        hidden: width of all features.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))

    def forward(self, message: Tensor, node: Tensor) -> Tensor:
        """``[batch, n, h]`` twice to ``[batch, n, h]``."""
        result: Tensor = self.mlp(torch.cat([message, node], -1))
        return result


class _Fit(nn.Module):
    """What both have: inputs, biases and weights mapped to features, φ_m and φ_u, a readout."""

    def __init__(self, layers: int, hidden: int, *, shared: bool) -> None:
        super().__init__()
        self.layers, own = layers, 1 if shared else layers
        self.input, self.bias, self.weight = (nn.Linear(1, hidden) for _ in range(3))
        self.messages = nn.ModuleList(Message(hidden) for _ in range(own))
        self.updates = nn.ModuleList(Update(hidden) for _ in range(own))
        self.readout = nn.Linear(hidden, 1)

    def start(self, data: FitData) -> tuple[list[Tensor], list[Tensor]]:
        """Features of nodes, inputs first, ``[batch, n, h]``, and of edges, ``[batch, n_dst, n_src, h]``."""
        nodes = [self.input(data.inputs.unsqueeze(-1)), *(self.bias(b.unsqueeze(-1)) for b in data.biases)]
        return nodes, [self.weight(w.unsqueeze(-1)) for w in data.weights]

    def step(self, number: int) -> tuple[nn.Module, nn.Module]:
        """φ_m and φ_u of a timestamp, or of a round."""
        place = min(number, len(self.messages) - 1)
        return self.messages[place], self.updates[place]

    def read(self, nodes: list[Tensor]) -> list[Tensor]:
        """Activations ``[batch, n]`` of layers whose features are ``[batch, n, h]``."""
        return [self.readout(node).squeeze(-1) for node in nodes]


class DynamicFit(_Fit):
    """Timestamp after timestamp: a layer's nodes hear from nodes that are up to date (section 4.1).

    Args:
        layers: of the networks.
        hidden: width of all features.
        shared: one φ_m and φ_u for all timestamps, or one a timestamp.
    """

    def __init__(self, layers: int, hidden: int, *, shared: bool = True) -> None:
        super().__init__(layers, hidden, shared=shared)

    def forward(self, data: FitData) -> list[Tensor]:
        """Predicted activations, ``[batch, n]`` a layer."""
        nodes, edges = self.start(data)
        for layer in range(self.layers):
            message, update = self.step(layer)
            nodes[layer + 1] = update(message(nodes[layer], edges[layer]), nodes[layer + 1])
        return self.read(nodes[1:])


class StaticFit(_Fit):
    """L rounds over the whole graph, with the edge update of Kofinas et al. (2024) between them (Eq. 2).

    Args:
        layers: of the networks, and rounds.
        hidden: width of all features.
        shared: one φ_m, φ_u and edge update for all rounds, or one a round.
        read_steps: read layer l after round l already, v^l(l), which is also what it is trained for then; or
            read the embeddings of all layers at the end.
    """

    def __init__(self, layers: int, hidden: int, *, shared: bool = True, read_steps: bool = False) -> None:
        super().__init__(layers, hidden, shared=shared)
        self.read_steps = read_steps
        self.edge_updates = nn.ModuleList(
            nn.Sequential(nn.Linear(3 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
            for _ in range(min(layers - 1, 1) if shared else layers - 1)
        )

    def forward(self, data: FitData) -> list[Tensor]:
        """Predicted activations, ``[batch, n]`` a layer."""
        nodes, edges = self.start(data)
        read = []
        for number in range(self.layers):
            message, update = self.step(number)
            new = [update(message(nodes[i], edge), nodes[i + 1]) for i, edge in enumerate(edges)]
            if self.edge_updates and number < self.layers - 1:
                phi_e = self.edge_updates[min(number, len(self.edge_updates) - 1)]
                edges = [edge + phi_e(_triples(edge, nodes[i], nodes[i + 1])) for i, edge in enumerate(edges)]
            nodes = [nodes[0], *new]
            read.append(nodes[number + 1])
        return self.read(read if self.read_steps else nodes[1:])


def _triples(edge: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Each edge with its source and its target, ``[batch, n_dst, n_src, 3h]``."""
    return torch.cat([edge, source.unsqueeze(1).expand_as(edge), target.unsqueeze(2).expand_as(edge)], -1)
