"""The gradient of Eq. 4's sum for the coefficients, as an operator of torch.

Dimensions as in :mod:`wsgraph_encoders.triton.single`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import wrap_triton

from wsgraph_encoders.triton.kernels.single_coefficients import single_coefficients_kernel
from wsgraph_encoders.triton.launch import kernel_precision, message_op, parts_of
from wsgraph_encoders.triton.layout import layout_of

__all__ = ["single_coefficients"]

_COPIES = 1 << 23
"""Elements of all copies of the coefficients' gradient that programs add to."""


@message_op("single_coefficients")
def single_coefficients(
    w: Tensor,
    u: Tensor,
    dm: Tensor,
    frequencies: Tensor,
    inverse: Tensor,
    rungs: Tensor,
    level: Tensor,
    grad_rows: int,
    precision: str,
    segments: Tensor | None = None,
    tiles: Tensor | None = None,
) -> Tensor:
    """The gradient of ``single`` for ``coefficients``, and below it that for ``fourier``.

    Args:
        w: weights.
        u: as ``single`` takes it.
        dm: gradient of the sum.
        frequencies: ``[F]``.
        inverse: one over each rung's half-width, ``[rungs]``.
        rungs: rows of each rung, ``[rungs, 2]``.
        level: the rung of each matrix, ``[segments, 2]``.
        grad_rows: number of rows of the coefficients.
        precision: of products.
        segments: table of a flat buffer.
        tiles: its tiles.

    Returns:
        ``[grad_rows + 2F + 1, c]``. Programs add to it in no fixed order, unless torch is told to be
        deterministic.
    """
    layout, u, dm = layout_of(w, segments, tiles, 0), u.contiguous(), dm.contiguous()
    width, blocks = u.shape[-1], layout.blocks(u.shape[-1])
    row_tiles, columns, shares = blocks.grid(layout.row_tiles(blocks.rows), width, layout.sizes[1])
    all_rows, copies = grad_rows + 2 * len(frequencies) + 1, row_tiles * shares
    if not torch.are_deterministic_algorithms_enabled():
        copies = max(1, min(copies, _COPIES // (all_rows * width)))
    grad = u.new_zeros(copies, all_rows, width)
    wrap_triton(single_coefficients_kernel)[row_tiles, columns, shares](
        w,
        u,
        dm,
        grad,
        frequencies,
        inverse,
        rungs,
        level,
        *layout.tables,
        *layout.sizes,
        width,
        len(frequencies),
        grad_rows,
        copies,
        GROUPED=segments is not None,
        PARTS=parts_of(w),
        PRECISION=kernel_precision(precision),
        **blocks.constants,
    )
    return grad.sum(0)


@single_coefficients.register_fake
def _(w: Tensor, u: Tensor, dm: Tensor, frequencies: Tensor, *operands: Any, **table: Any) -> Tensor:  # noqa: ARG001
    grad_rows = operands[3] if len(operands) > 3 else table["grad_rows"]
    return u.new_empty(grad_rows + 2 * len(frequencies) + 1, u.shape[-1])
