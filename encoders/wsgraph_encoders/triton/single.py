"""Eq. 4 as operators of torch: messages summed over sources, and their gradients.

Dimensions: b batch, g groups, r destinations, s sources, c width of a message, F frequencies, k terms.
Weights are ``[b, g, r, s]`` with any strides, in the dtype they are stored in, or one flat buffer with a
table of segments (:mod:`wsgraph_encoders.triton.layout`); all else is float32.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.library import wrap_triton

from wsgraph_encoders.triton.kernels.outside import outside_kernel
from wsgraph_encoders.triton.kernels.single import single_kernel, tuned_single_kernel
from wsgraph_encoders.triton.kernels.single_coefficients import single_coefficients_kernel
from wsgraph_encoders.triton.kernels.single_weights import single_weights_kernel
from wsgraph_encoders.triton.launch import (
    blocks_for,
    kernel_precision,
    message_op,
    parts_of,
    shares_for,
    tuning_size,
)
from wsgraph_encoders.triton.layout import TABLE_ROWS, layout_of

if TYPE_CHECKING:
    from wsgraph_encoders.triton.launch import Blocks
    from wsgraph_encoders.triton.layout import Layout

__all__ = ["outside_counts", "single", "single_coefficients", "single_weights"]

_COPIES = 1 << 23
"""Elements of all copies of the coefficients' gradient that programs add to."""


def _blocks(layout: Layout, width: int) -> Blocks:
    rows = layout.sizes[0]
    return blocks_for(rows, width) if rows else blocks_for(TABLE_ROWS, width)


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
    blocks = _blocks(layout, 1)
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


@message_op("single")
def single(
    w: Tensor,
    u: Tensor,
    coefficients: Tensor,
    fourier: Tensor,
    frequencies: Tensor,
    inverse: Tensor,
    rungs: Tensor,
    level: Tensor,
    precision: str,
    segments: Tensor | None = None,
    tiles: Tensor | None = None,
    transposed: Tensor | None = None,  # noqa: ARG001  for the gradient
    out_rows: int = 0,
) -> Tensor:
    """The sum over s of g(w_rs) ⊙ u_s, differentiable in w, u, coefficients and fourier.

    Args:
        w: weights.
        u: mapped memories of the sources, ``[b, g, s, c]``; of a table ``[rows of u, c]``.
        coefficients: of T_0, T_1, ... for each rung, ``[rows, c]``.
        fourier: of the sines, the cosines and 1, ``[2F + 1, c]``.
        frequencies: ``[F]``.
        inverse: one over each rung's half-width, ``[rungs]``.
        rungs: first row and number of rows of each rung's coefficients, int32 ``[rungs, 2]``.
        level: the rung of each matrix, and whether it has weights outside, int32 ``[segments, 2]``;
            see :func:`wsgraph_encoders.triton.message.choose_level`.
        precision: of products; see :data:`wsgraph_encoders.triton.launch.Precision`.
        segments: table of a flat buffer.
        tiles: its tiles.
        transposed: tiles of the transposed matrices.
        out_rows: rows of the sum; of a table only.

    Returns:
        ``[b, g, r, c]``, or ``[out_rows, c]`` where rows of no segment are zero.
    """
    layout, u = layout_of(w, segments, tiles, out_rows), u.contiguous()
    width, blocks = u.shape[-1], _blocks(layout, u.shape[-1])
    columns, row_tiles = -(-width // blocks.columns), layout.row_tiles(blocks.rows)
    shares = shares_for(row_tiles * columns, layout.sizes[1], blocks.sources)
    make = u.new_empty if segments is None else u.new_zeros
    out = make(shares, *layout.out_shape, width)
    operands = (
        w, u, out, coefficients.contiguous(), fourier.contiguous(), frequencies, inverse, rungs, level,
        *layout.tables, *layout.sizes, width, len(frequencies), prod(layout.out_shape),
        segments is not None, parts_of(w), kernel_precision(precision),
    )  # fmt: skip
    size = tuning_size(layout.sizes[0], layout.sizes[1])
    if size:

        def grid(meta: dict[str, int]) -> tuple[int, int, int]:
            return layout.row_tiles(meta["BR"]), columns, shares

        wrap_triton(tuned_single_kernel)[grid](*operands, SIZE=size, BC=blocks.columns)
    else:
        fixed = {"BC": blocks.columns, "BR": blocks.rows, "BS": blocks.sources, **blocks.options}
        wrap_triton(single_kernel)[row_tiles, columns, shares](*operands, SIZE=0, **fixed)
    return out.sum(0) if shares > 1 else out.squeeze(0)


@single.register_fake
def _(w: Tensor, u: Tensor, *operands: Any, **table: Any) -> Tensor:
    named = dict(zip(_OPERANDS, operands, strict=False)) | table
    layout = layout_of(w, named.get("segments"), named.get("tiles"), named.get("out_rows", 0))
    return u.new_empty(*layout.out_shape, u.shape[-1])


_OPERANDS = (
    "coefficients", "fourier", "frequencies", "inverse", "rungs", "level", "precision",
    "segments", "tiles", "transposed", "out_rows",
)  # fmt: skip


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
    """The gradient of :func:`single` for ``coefficients``, and below it that for ``fourier``.

    Args:
        w: weights.
        u: as :func:`single` takes it.
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
    width, blocks = u.shape[-1], _blocks(layout, u.shape[-1])
    columns, row_tiles = -(-width // blocks.columns), layout.row_tiles(blocks.rows)
    shares = shares_for(row_tiles * columns, layout.sizes[1], blocks.sources)
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
        BR=blocks.rows,
        BS=blocks.sources,
        BC=blocks.columns,
        **blocks.options,
    )
    return grad.sum(0)


@single_coefficients.register_fake
def _(w: Tensor, u: Tensor, dm: Tensor, frequencies: Tensor, *operands: Any, **table: Any) -> Tensor:  # noqa: ARG001
    grad_rows = operands[3] if len(operands) > 3 else table["grad_rows"]
    return u.new_empty(grad_rows + 2 * len(frequencies) + 1, u.shape[-1])


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
    """The gradient of :func:`single` for the weights, in their dtype.

    Args:
        w: weights.
        u: as :func:`single` takes it.
        dm: gradient of the sum.
        coefficients: as :func:`single` takes them.
        fourier: as :func:`single` takes them.
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
    blocks = _blocks(layout, u.shape[-1])
    row_tiles = layout.row_tiles(blocks.rows)
    dw = torch.zeros(w.shape, dtype=torch.float32, device=w.device)
    wrap_triton(single_weights_kernel)[row_tiles, shares_for(row_tiles, layout.sizes[1], blocks.sources)](
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
        BR=blocks.rows,
        BS=blocks.sources,
        BC=blocks.columns,
        **blocks.options,
    )
    return dw.to(w.dtype)


@single_weights.register_fake
def _(w: Tensor, *operands: Any, **table: Any) -> Tensor:  # noqa: ARG001  the result is like the weights
    return w.new_empty(w.shape)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001  torch's signature
    named = dict(zip(("w", "u", *_OPERANDS), inputs, strict=False))
    tensors = [named.get(name) for name in (*_SAVED, "segments", "tiles", "transposed")]
    ctx.save_for_backward(*tensors)
    ctx.precision = named["precision"]


_SAVED = ("w", "u", "coefficients", "fourier", "frequencies", "inverse", "rungs", "level")


def _backward(ctx: Any, dm: Tensor) -> tuple[Tensor | None, ...]:
    w, u, coefficients, fourier, frequencies, *rest = ctx.saved_tensors
    inverse, rungs, level, segments, tiles, transposed = rest
    scale, precision = (frequencies, inverse, rungs, level), ctx.precision
    dw = du = dg = df = None
    if ctx.needs_input_grad[0]:
        dw = single_weights(w, u, dm, coefficients, fourier, *scale, precision, segments, tiles)
    if ctx.needs_input_grad[1]:  # the sum over destinations is the same sum with the matrix transposed
        du = _sources(w, u, dm, (coefficients, fourier, *scale, precision), segments, transposed)
    if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
        both = single_coefficients(w, u, dm, *scale, len(coefficients), precision, segments, tiles)
        dg, df = both.split([len(coefficients), len(fourier)])
    return dw, du, dg, df, *(None,) * (len(ctx.needs_input_grad) - 4)


def _sources(
    w: Tensor,
    u: Tensor,
    dm: Tensor,
    operands: tuple[Any, ...],
    segments: Tensor | None,
    transposed: Tensor | None,
) -> Tensor:
    if segments is None:
        flipped: Tensor = single(w.transpose(-1, -2), dm, *operands)
        return flipped
    swapped = segments[:, [0, 2, 1, 4, 3, 6, 5]].contiguous()
    du: Tensor = single(w, dm, *operands, swapped, transposed, None, len(u))
    return du


single.register_autograd(_backward, setup_context=_setup)
