"""Which rung of the ladder a block's weights are expanded on, chosen on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.triton.outside import outside_counts

if TYPE_CHECKING:
    from wsgraph_encoders.triton.ladder import Ladder
    from wsgraph_encoders.triton.layout import Table

__all__ = ["choose_level"]

_TILE = 4096
"""Weights of a tile, roughly: one that is outside costs the sines and cosines of its whole tile."""


def choose_level(w: Tensor, ladder: Ladder, table: Table | None = None) -> Tensor:
    """The rung that makes each matrix of weights cheapest.

    Args:
        w: weights, ``[b, g, r, s]`` or the flat buffer of a table.
        ladder: the intervals.
        table: the segments of a flat buffer.

    Returns:
        Rung, and number of stretches of weights that have some outside its interval: int32
        ``[segments, 2]``.
    """
    if table is None:
        counts = outside_counts(w.detach(), ladder.inverse)
        tiles: Tensor | float = max(1.0, w.shape[2] * w.shape[3] / _TILE)
    else:
        counts = outside_counts(w.detach(), ladder.inverse, table.segments, table.tiles)
        tiles = (table.segments[:, 3] * table.segments[:, 4] / _TILE).clamp(min=1).unsqueeze(1)
    direct = 2 * len(ladder.frequencies) + 1
    cost = ladder.rows[:, 1] + direct * (counts / tiles).clamp(max=1)
    rung = cost.argmin(1, keepdim=True)
    return torch.cat([rung, counts.gather(1, rung)], 1).to(torch.int32)
