"""The counting of weights outside the ladder's intervals as an operator of torch.

Dimensions as in :mod:`wsgraph_encoders.triton.single`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.library import wrap_triton

from wsgraph_encoders.triton.kernels.outside import outside_kernel
from wsgraph_encoders.triton.launch import message_op, shares_for
from wsgraph_encoders.triton.layout import layout_of

__all__ = ["outside_counts"]


@message_op("outside_counts")
def outside_counts(
    w: Tensor, inverse: Tensor, segments: Tensor | None = None, tiles: Tensor | None = None
) -> Tensor:
    """In how many stretches of rows some weight lies outside each interval: int32 ``[segments, rungs]``.

    Args:
        w: weights.
        inverse: one over each interval's half-width, ``[rungs]``.
        segments: table of a flat buffer.
        tiles: its tiles.
    """
    layout = layout_of(w, segments, tiles, 0)
    counts = torch.zeros(layout.segments, len(inverse), dtype=torch.int32, device=w.device)
    blocks = layout.blocks(1)
    row_tiles = layout.row_tiles(blocks.rows)
    grid = (row_tiles, shares_for(row_tiles, layout.sizes[1], blocks.sources))
    wrap_triton(outside_kernel)[grid](
        w,
        counts,
        inverse,
        *layout.tables,
        *layout.sizes,
        RUNGS=len(inverse),
        GROUPED=segments is not None,
        BR=blocks.rows,
        BS=blocks.sources,
    )
    return counts


@outside_counts.register_fake
def _(w: Tensor, inverse: Tensor, segments: Tensor | None = None, tiles: Tensor | None = None) -> Tensor:
    count = layout_of(w, segments, tiles, 0).segments
    return w.new_empty(count, len(inverse), dtype=torch.int32)
