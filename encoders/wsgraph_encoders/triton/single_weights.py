"""The gradient of Eq. 4's sum for the weights, as an operator of torch.

Dimensions as in :mod:`wsgraph_encoders.triton.single`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import wrap_triton

from wsgraph_encoders.triton.kernels.single_weights import single_weights_kernel
from wsgraph_encoders.triton.launch import kernel_precision, message_op, parts_of, shares_for
from wsgraph_encoders.triton.layout import layout_of

__all__ = ["single_weights"]


@message_op("single_weights")
def single_weights(
    w: Tensor,
    u: Tensor,
    dm: Tensor,
    coefficients: Tensor,
    fourier: Tensor,
    frequencies: Tensor,
    inverse: Tensor,
    rungs: Tensor,
    level: Tensor,
    precision: str,
    segments: Tensor | None = None,
    tiles: Tensor | None = None,
) -> Tensor:
    """The gradient of ``single`` for the weights, in their dtype.

    Args:
        w: weights.
        u: as ``single`` takes it.
        dm: gradient of the sum.
        coefficients: as ``single`` takes them.
        fourier: as ``single`` takes them.
        frequencies: ``[F]``.
        inverse: one over each rung's half-width, ``[rungs]``.
        rungs: rows of each rung, ``[rungs, 2]``.
        level: the rung of each matrix, ``[segments, 2]``.
        precision: of products.
        segments: table of a flat buffer.
        tiles: its tiles.

    Returns:
        Like ``w``, contiguous.
    """
    layout, u, dm = layout_of(w, segments, tiles, 0), u.contiguous(), dm.contiguous()
    blocks = layout.blocks(u.shape[-1])
    row_tiles = layout.row_tiles(blocks.rows)
    grid = row_tiles, shares_for(row_tiles, layout.sizes[1], blocks.sources)
    dw = torch.zeros(w.shape, dtype=torch.float32, device=w.device)
    wrap_triton(single_weights_kernel)[grid](
        w,
        u,
        dm,
        dw,
        coefficients.contiguous(),
        fourier.contiguous(),
        frequencies,
        inverse,
        rungs,
        level,
        *layout.tables,
        *layout.sizes,
        u.shape[-1],
        len(frequencies),
        GROUPED=segments is not None,
        PARTS=parts_of(w),
        PRECISION=kernel_precision(precision),
        **blocks.constants,
    )
    return dw.to(w.dtype)


@single_weights.register_fake
def _(w: Tensor, *operands: Any, **table: Any) -> Tensor:  # noqa: ARG001  the result is like the weights
    return w.new_empty(w.shape)
