"""Eq. 4 as an operator of torch: messages summed over sources, with their gradients.

Dimensions: b batch, g groups, r destinations, s sources, c width of a message, F frequencies, k terms.
Weights are ``[b, g, r, s]`` with any strides, in the dtype they are stored in, or one flat buffer with a
table of segments (:mod:`wsgraph_encoders.triton.layout`); all else is float32.
"""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor  # noqa: TC002  torch reads the annotations of operators
from torch.library import wrap_triton

from wsgraph_encoders.triton.kernels.single import single_kernel, tuned_single_kernel
from wsgraph_encoders.triton.launch import kernel_precision, message_op, parts_of, tuning_size
from wsgraph_encoders.triton.layout import layout_of
from wsgraph_encoders.triton.single_coefficients import single_coefficients
from wsgraph_encoders.triton.single_weights import single_weights

__all__ = ["single"]


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
            see :func:`wsgraph_encoders.triton.level.choose_level`.
        precision: of products; see :data:`wsgraph_encoders.triton.launch.Precision`.
        segments: table of a flat buffer.
        tiles: its tiles.
        transposed: tiles of the transposed matrices.
        out_rows: rows of the sum; of a table only.

    Returns:
        ``[b, g, r, c]``, or ``[out_rows, c]`` where rows of no segment are zero.
    """
    layout, u = layout_of(w, segments, tiles, out_rows), u.contiguous()
    width, blocks = u.shape[-1], layout.blocks(u.shape[-1])
    row_tiles, columns, shares = blocks.grid(layout.row_tiles(blocks.rows), width, layout.sizes[1])
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
        wrap_triton(single_kernel)[row_tiles, columns, shares](*operands, SIZE=0, **blocks.constants)
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
_SAVED = ("w", "u", "coefficients", "fourier", "frequencies", "inverse", "rungs", "level")


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001  torch's signature
    named = dict(zip(("w", "u", *_OPERANDS), inputs, strict=False))
    tensors = [named.get(name) for name in (*_SAVED, "segments", "tiles", "transposed")]
    ctx.save_for_backward(*tensors)
    ctx.precision = named["precision"]


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
