"""Fourier transforms as products with constant matrices, along one dimension after the other.

A discrete Fourier transform is a fixed linear map. Along neurons it is a layer whose weights no checkpoint
changes; along positions it mixes these, and neurons keep to themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.ir.graph import Op, Value
from wsgraph.rewrites.complex_parts import Emitter, Pair, Part, real_type

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TRANSFORMS", "transform"]

_LARGEST = 1 << 24
"""Most elements of a transform's matrix: that of a signal of 4,096 points."""

_ROUNDED = 1e-12

_NAMES = ("fft", "ifft", "rfft", "irfft")
TRANSFORMS = frozenset(f"aten.fft_{name}{form}" for name in _NAMES for form in ("", "2", "n")) | frozenset(
    f"aten._fft_{kind}" for kind in ("c2c", "r2c", "c2r")
)
"""Canonical names of the operators that :func:`transform` takes apart."""


@dataclass(frozen=True, slots=True)
class _Transform:
    """A transform's parameters.

    Attributes:
        kind: ``c2c``, ``r2c`` (half of the result kept) or ``c2r`` (half of the input given).
        dims: transformed dimensions, the halved one last.
        points: number of points along each.
        forward: whether the exponent is negative.
        power: the result is multiplied by points ** power.
    """

    kind: str
    dims: tuple[int, ...]
    points: tuple[int, ...]
    forward: bool
    power: float


def transform(emit: Emitter, op: Op, x: Pair) -> Pair:
    """The parts of a transform's result.

    Args:
        emit: where operators go.
        op: one of :data:`TRANSFORMS`.
        x: the parts of its input.

    Raises:
        UnsupportedOperatorError: a dimension is too long for a matrix.
    """
    how = _parameters(op)
    steps = list(zip(how.dims, how.points, strict=True))
    # The half that is not there is filled in by the last dimension's matrix: first forward, last backward.
    ordered = list(reversed(steps)) if how.kind == "r2c" else steps
    for k, (dim, points) in enumerate(ordered):
        halved = (how.kind == "r2c" and k == 0) or (how.kind == "c2r" and k == len(ordered) - 1)
        x = _along(emit, op, x, dim, points, how, how.kind if halved else "c2c")
    return x


def _along(emit: Emitter, op: Op, x: Pair, dim: int, points: int, how: _Transform, kind: str) -> Pair:
    """One dimension: both parts times cosines and sines."""
    whole = next(part for part in x if isinstance(part, Value))
    given = whole.shape[dim]
    kept = points // 2 + 1 if kind == "r2c" else points
    if given * kept > _LARGEST:
        raise UnsupportedOperatorError(
            f"{op!r} transforms {points:,} points, more than fit into a matrix of {_LARGEST:,} elements",
            remedy="compile the model with a shorter input, or pass --unsupported opaque",
        )
    dtype = real_type(whole.dtype)
    key = (given, kept, points, how.power, kind == "c2r", dtype)
    cosines, sines = (
        emit.constant((wave, *key), _matrix(wave, given, kept, points, how.power, kind == "c2r").to(dtype))
        for wave in ("cos", "sin")
    )

    def product(part: Part, matrix: Value) -> Part:
        return _contract(emit, part, matrix, dim) if isinstance(part, Value) else None

    real, imaginary = x
    cross = product(imaginary, sines)
    combine = (emit.add, emit.subtract) if how.forward else (emit.subtract, emit.add)
    first = combine[0](product(real, cosines), cross)
    if kind == "c2r":
        return first, None
    return first, combine[1](product(imaginary, cosines), product(real, sines))


def _matrix(wave: str, given: int, kept: int, points: int, power: float, halved: bool) -> Tensor:
    """``[given, kept]``: a wave's values; rows beyond the number of points are cut off.

    A halved input stands for its mirror image too, so all but its ends count twice.
    """
    rows = torch.arange(given, dtype=torch.float64)
    angle = (rows.unsqueeze(1) * torch.arange(kept)).remainder(points) * (2 * math.pi / points)
    weight = torch.ones_like(rows)
    last = points // 2 + 1 if halved else points
    if halved:
        weight[1 : (points + 1) // 2] = 2.0
    weight[last:] = 0.0
    values = angle.cos() if wave == "cos" else angle.sin()
    values[values.abs() < _ROUNDED] = 0.0  # sin(pi), not what rounding leaves of it
    scaled: Tensor = values * weight.unsqueeze(1) * float(points) ** power
    return scaled


def _contract(emit: Emitter, x: Value, matrix: Value, dim: int) -> Value:
    rank = len(x.shape)
    shape = [matrix.shape[1] if d == dim else n for d, n in enumerate(x.shape)]
    if dim == rank - 1:
        return emit.call("matmul", (x, matrix), shape, x.dtype)
    order = list(range(rank))
    order[dim], order[-1] = order[-1], order[dim]
    turned = emit.call("permute", (x, order), [x.shape[d] for d in order], x.dtype)
    product = emit.call("matmul", (turned, matrix), [shape[d] for d in order], x.dtype)
    return emit.call("permute", (product, order), shape, x.dtype)


def _parameters(op: Op) -> _Transform:
    given, x = op.arguments, op.inputs()[0]
    if op.key.startswith("aten._fft"):
        return _decomposed(op, x, given)
    name = op.key.removeprefix("aten.fft_")
    stem = name.rstrip("2n")
    sizes = given.get("s", given.get("n"))
    sizes = [sizes] if isinstance(sizes, int) else sizes
    dims = _dims(given.get("dim"), len(x.shape), sizes)
    kind = {"fft": "c2c", "ifft": "c2c", "rfft": "r2c", "irfft": "c2r"}[stem]
    points = [x.shape[d] for d in dims] if sizes is None else [int(n) for n in sizes]
    points = [x.shape[d] if n < 0 else n for d, n in zip(dims, points, strict=True)]
    if kind == "c2r" and sizes is None:
        points[-1] = 2 * (x.shape[dims[-1]] - 1)
    forward = not stem.startswith("i")
    norm = given.get("norm") or "backward"
    power = -0.5 if norm == "ortho" else float(-((norm == "forward") == forward))
    return _Transform(kind, tuple(dims), tuple(points), forward, power)


def _dims(given: Any, rank: int, sizes: Sequence[int] | None) -> list[int]:
    if given is None:
        return list(range(rank - (rank if sizes is None else len(sizes)), rank))
    return [d % rank for d in ([given] if isinstance(given, int) else given)]


def _decomposed(op: Op, x: Value, given: dict[str, Any]) -> _Transform:
    """The operators that transforms are made of: ``_fft_c2c`` and the like."""
    kind = op.key.removeprefix("aten._fft_")
    dims = [d % len(x.shape) for d in given["dim"]]
    points = [x.shape[d] for d in dims]
    if kind == "c2r":
        points[-1] = int(given["last_dim_size"])
    forward = kind == "r2c" or bool(given.get("forward", False))
    return _Transform(kind, tuple(dims), tuple(points), forward, -int(given["normalization"]) / 2)
