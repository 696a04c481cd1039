"""Eq. 5 as operators of torch, up to φ_h's second linear map, which comes after the sum over sources.

Dimensions: b batch, g groups, r destinations, s sources, m parallel edges, e width of a head, c width of a
message, F frequencies. Weights are ``[b, g, r, s, m]`` with any strides, in the dtype they are stored in;
all else is float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import wrap_triton

from wsgraph_encoders.triton.kernels.multi import multi_kernel
from wsgraph_encoders.triton.kernels.multi_backward import multi_backward_kernel
from wsgraph_encoders.triton.launch import head_block, kernel_precision, message_op, multi_blocks

__all__ = ["multi", "multi_backward"]

_COPIES = 1 << 22
"""Elements of all copies of a gradient that programs add to."""


@message_op("multi")
def multi(
    w: Tensor,
    heads: Tensor,
    offset: Tensor,
    first: Tensor,
    coefficients: Tensor,
    fourier: Tensor,
    frequencies: Tensor,
    inverse: Tensor,
    rungs: Tensor,
    level: Tensor,
    precision: str,
) -> Tensor:
    """The sum over s of relu(offset_s + Σ_n first_n (g(w_rsn) ⊙ head_sn)), differentiable in what is learned.

    Args:
        w: weights; differentiable too.
        heads: ``[b, g, s, m, e]``.
        offset: ``[b, g, s, c]``.
        first: first linear map of φ_h, ``[m, e, c]``.
        coefficients: of T_0, T_1, ... for each rung, ``[rows, e]``.
        fourier: of the sines, the cosines and 1, ``[2F + 1, e]``.
        frequencies: ``[F]``.
        inverse: one over each rung's half-width, ``[rungs]``.
        rungs: first row and number of rows of each rung's coefficients, int32 ``[rungs, 2]``.
        level: the rung of each matrix, and whether it has weights outside, int32 ``[b · g, 2]``.
        precision: of products; see :data:`wsgraph_encoders.triton.launch.Precision`.

    Returns:
        ``[b, g, r, c]``.
    """
    (b, g, r, s, m), (_, e, c) = w.shape, first.shape
    blocks = multi_blocks(r, c)
    row_tiles, columns, shares = blocks.grid(b * g * -(-r // blocks.rows), c, s)
    out = offset.new_empty(shares, b, g, r, c)
    wrap_triton(multi_kernel)[row_tiles, columns, shares](
        w,
        heads.contiguous(),
        offset.contiguous(),
        first.contiguous(),
        out,
        coefficients.contiguous(),
        fourier.contiguous(),
        frequencies,
        inverse,
        rungs,
        level,
        *(r, s, g),
        *w.stride(),
        *(m, e, c),
        len(frequencies),
        b * g * r,
        PRECISION=kernel_precision(precision),
        BR=blocks.rows,
        BE=head_block(e),
        BC=blocks.columns,
        **blocks.options,
    )
    return out.sum(0) if shares > 1 else out.squeeze(0)


@multi.register_fake
def _(w: Tensor, heads: Tensor, offset: Tensor, *operands: Any) -> Tensor:  # noqa: ARG001  shapes suffice
    return offset.new_empty(*w.shape[:3], offset.shape[-1])


@message_op("multi_backward")
def multi_backward(
    w: Tensor,
    heads: Tensor,
    offset: Tensor,
    first: Tensor,
    dm: Tensor,
    coefficients: Tensor,
    fourier: Tensor,
    frequencies: Tensor,
    inverse: Tensor,
    rungs: Tensor,
    level: Tensor,
    precision: str,
    weights: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of :func:`multi`.

    Args:
        w: weights.
        heads: as :func:`multi` takes them, like all that follow.
        offset: ``[b, g, s, c]``.
        first: ``[m, e, c]``.
        dm: gradient of the sum, ``[b, g, r, c]``.
        coefficients: ``[rows, e]``.
        fourier: ``[2F + 1, e]``.
        frequencies: ``[F]``.
        inverse: ``[rungs]``.
        rungs: ``[rungs, 2]``.
        level: ``[b · g, 2]``.
        precision: of products.
        weights: whether their gradient is wanted.

    Returns:
        Gradients of heads, offset, first, of coefficients with those of ``fourier`` below, and of the weights
        in their dtype (without elements where it is not wanted). Programs add to them in no fixed order.
    """
    (b, g, r, s, m), (_, e, c) = w.shape, first.shape
    blocks = multi_blocks(r, c)
    row_tiles, columns, shares = blocks.grid(b * g * -(-r // blocks.rows), c, s)
    grad_rows, count = len(coefficients), len(frequencies)
    all_rows = grad_rows + 2 * count + 1
    copies = max(1, min(row_tiles * shares, _COPIES // max(m * e * c, all_rows * e)))
    dw = torch.zeros(w.shape if weights else (0,), dtype=torch.float32, device=w.device)
    d_heads, d_offset = heads.new_zeros(heads.shape), offset.new_zeros(offset.shape)
    d_first, dg = first.new_zeros(copies, m, e, c), first.new_zeros(copies, all_rows, e)
    wrap_triton(multi_backward_kernel)[row_tiles, columns, shares](
        w,
        heads.contiguous(),
        offset.contiguous(),
        first.contiguous(),
        dm.contiguous(),
        d_heads,
        d_offset,
        d_first,
        dg,
        dw,
        coefficients.contiguous(),
        fourier.contiguous(),
        frequencies,
        inverse,
        rungs,
        level,
        *(r, s, g),
        *w.stride(),
        *(m, e, c),
        count,
        grad_rows,
        copies,
        WEIGHTS=weights,
        PRECISION=kernel_precision(precision),
        BR=blocks.rows,
        BE=head_block(e),
        BC=blocks.columns,
        **blocks.options,
    )
    return d_heads, d_offset, d_first.sum(0), dg.sum(0), dw.to(w.dtype)


@multi_backward.register_fake
def _(w: Tensor, heads: Tensor, offset: Tensor, first: Tensor, *operands: Any) -> tuple[Tensor, ...]:
    coefficients, fourier, weights = operands[1], operands[2], operands[8]
    return (
        heads.new_empty(heads.shape),
        offset.new_empty(offset.shape),
        first.new_empty(first.shape),
        first.new_empty(len(coefficients) + len(fourier), first.shape[1]),
        w.new_empty(w.shape if weights else (0,)),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001  torch's signature
    *tensors, ctx.precision = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, dm: Tensor) -> tuple[Tensor | None, ...]:
    w, heads, offset, first, *rest = ctx.saved_tensors
    weights = ctx.needs_input_grad[0]
    d_heads, d_offset, d_first, both, dw = multi_backward(
        w, heads, offset, first, dm, *rest, ctx.precision, weights
    )
    dg, df = both.split([len(rest[0]), len(rest[1])])
    return dw if weights else None, d_heads, d_offset, d_first, dg, df, *(None,) * 5


multi.register_autograd(_backward, setup_context=_setup)
