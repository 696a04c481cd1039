"""Node features at the pairs of an edge block, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph_encoders.messages.wiring import DenseWiring

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph_encoders.messages.wiring import Wiring

__all__ = ["at_destinations", "at_sources", "pair_positions", "sum_at_destinations"]


def at_sources(wiring: Wiring, x: Tensor) -> Tensor:
    """Each pair's source: ``[batch, n_src, c]`` to what broadcasts over ``[batch, *wiring.shape, c]``."""
    if isinstance(wiring, DenseWiring):
        return x.reshape(len(x), wiring.groups, 1, wiring.n_src, -1)
    return x.index_select(1, wiring.src.to(x.device))


def at_destinations(wiring: Wiring, x: Tensor) -> Tensor:
    """Each pair's destination: ``[batch, n_dst, c]`` to what fits ``[batch, *wiring.shape, c]``."""
    if isinstance(wiring, DenseWiring):
        return x.reshape(len(x), wiring.groups, wiring.n_dst, 1, -1)
    return x.index_select(1, wiring.dst.to(x.device))


def sum_at_destinations(wiring: Wiring, x: Tensor) -> Tensor:
    """Sum over each destination's pairs: ``[batch, *wiring.shape, c]`` to ``[batch, n_dst, c]``."""
    if isinstance(wiring, DenseWiring):
        return x.sum(3).flatten(1, 2)
    out = x.new_zeros(len(x), wiring.total_dst, x.shape[-1])
    return out.index_add(1, wiring.dst.to(x.device), x)


def pair_positions(wiring: Wiring) -> tuple[Tensor, Tensor]:
    """Positions of each pair's source in the node view and of its destination: ``[pairs]`` each."""
    if not isinstance(wiring, DenseWiring):
        return wiring.src, wiring.dst
    group = torch.arange(wiring.groups).view(-1, 1, 1)
    src = group * wiring.n_src + torch.arange(wiring.n_src)
    dst = group * wiring.n_dst + torch.arange(wiring.n_dst).view(1, -1, 1)
    return src.expand(wiring.shape).reshape(-1), dst.expand(wiring.shape).reshape(-1)
