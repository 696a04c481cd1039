"""The learned maps of a message (Eq. 4 and 5), around the sums of :mod:`wsgraph_encoders.messages`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from wsgraph_encoders.messages.wiring import split_dim

if TYPE_CHECKING:
    from wsgraph_encoders.fourier import Frequencies
    from wsgraph_encoders.messages import Message
    from wsgraph_encoders.messages.wiring import Wiring

__all__ = ["Call", "MultiMap", "PositionalMap", "SingleMap"]


class Call(NamedTuple):
    """One edge block's message.

    Attributes:
        message: how sums are computed.
        fourier: the frequencies of Fourier features.
        wiring: who sends to whom.
        weights: ``[batch, *wiring.shape, m]`` as stored, or a learned feature ``[2F]``.
        sources: memories of the sources, ``[batch or 1, n_src, hidden]``.
    """

    message: Message
    fourier: Frequencies
    wiring: Wiring
    weights: Tensor
    sources: Tensor


class SingleMap(nn.Module):
    """Eq. 4.

    Args:
        features: width 2F of an edge's feature.
        hidden: width of memories.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.edge = nn.Linear(features, hidden)
        self.node = nn.Linear(hidden, hidden)

    def forward(self, call: Call) -> Tensor:
        """``[batch, n_dst, hidden]``."""
        if call.weights.dim() == 1:
            return call.message.constant(call.wiring, self.edge(call.weights), call.sources, self.node)
        edge, mapped = call.fourier.map(self.edge), self.node(call.sources)
        return call.message.single(call.wiring, call.weights, mapped, edge)


class MultiMap(nn.Module):
    """Eq. 5 for up to ``heads`` parallel edges; missing ones are padded with zero features.

    Args:
        features: width 2F of an edge's feature.
        hidden: width of memories.
        edge_width: width of a head.
        heads: number of heads N.
    """

    def __init__(self, features: int, hidden: int, edge_width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.edge_width = heads, edge_width
        self.edge = nn.Linear(features, edge_width)
        self.node = nn.Linear(hidden, heads * edge_width)
        self.mapping = nn.Sequential(
            nn.Linear(heads * edge_width, hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )

    def forward(self, call: Call) -> Tensor:
        """``[batch, n_dst, hidden]``."""
        first, _, second = self.mapping
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        m = call.weights.shape[-1]
        heads = split_dim(self.node(call.sources), -1, self.heads, self.edge_width)
        # The first map of each head, edge width by hidden.
        split = split_dim(first.weight.t(), 0, self.heads, self.edge_width)
        padded = (heads[..., m:, :] * self.edge.bias).flatten(-2) @ split[m:].flatten(0, 1)
        return _merge(call, heads[..., :m, :], padded + first.bias, self.edge, split[:m], second)


class PositionalMap(nn.Module):
    """Eq. 5 for any number of parallel edges: maps a head are cosine series over the head's position.

    Head n of m gets W_n = Σ_r cos(π r (n + ½) / m) W⁽ʳ⁾, and likewise its part of φ_h's first map, over
    √m. For m up to ``positions`` any maps can be expressed so; beyond, those smooth in the position.

    Args:
        features: width 2F of an edge's feature.
        hidden: width of memories.
        edge_width: width of a head.
        positions: number of cosines.
    """

    def __init__(self, features: int, hidden: int, edge_width: int, positions: int) -> None:
        super().__init__()
        self.edge = nn.Linear(features, edge_width)
        self.node = nn.Parameter(_uniform(positions, hidden, edge_width, fan_in=hidden))
        self.node_bias = nn.Parameter(_uniform(positions, edge_width, fan_in=hidden))
        self.first = nn.Parameter(_uniform(positions, edge_width, hidden, fan_in=edge_width))
        self.bias = nn.Parameter(_uniform(hidden, fan_in=edge_width))
        self.second = nn.Linear(hidden, hidden)

    def forward(self, call: Call) -> Tensor:
        """``[batch, n_dst, hidden]``."""
        cosines = self.cosines(call.weights.shape[-1])
        node = torch.einsum("mr,rhe->hme", cosines, self.node)
        heads = torch.einsum("bnh,hme->bnme", call.sources, node) + cosines @ self.node_bias
        first = torch.einsum("mr,rec->mec", cosines / math.sqrt(len(cosines)), self.first)
        offset = self.bias.expand(*call.sources.shape[:2], -1)
        return _merge(call, heads, offset, self.edge, first, self.second)

    def cosines(self, m: int) -> Tensor:
        """``[m, positions]``; those that would repeat others at so few positions are zero."""
        n = torch.arange(m, dtype=self.node.dtype, device=self.node.device).unsqueeze(1)
        r = torch.arange(len(self.node), dtype=self.node.dtype, device=self.node.device)
        return torch.cos(math.pi / m * (n + 0.5) * r) * (r < m)


def _merge(
    call: Call, heads: Tensor, offset: Tensor, edge: nn.Linear, first: Tensor, second: nn.Linear
) -> Tensor:
    """The sum over sources, and φ_h's second linear map after it: it is linear, so it may wait."""
    summed = call.message.multi(call.wiring, call.weights, heads, offset, call.fourier.map(edge), first)
    degree = call.wiring.in_degree(summed)
    return summed @ second.weight.t() + degree * second.bias


def _uniform(*shape: int, fan_in: int) -> Tensor:
    """Initial values as ``nn.Linear`` has them."""
    return torch.empty(shape).uniform_(-1, 1) / math.sqrt(fan_in)
