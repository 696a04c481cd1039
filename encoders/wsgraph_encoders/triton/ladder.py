"""The intervals that weights may be expanded on: a fixed ladder of them, so that none is chosen on the host.

On a GPU, asking for a block's extremes makes the processor wait for the device, once a block. Here the
device chooses: intervals are centred at zero, rung l reaches 2^(l/2) radians of the fastest frequency, and
how many Chebyshev terms that takes does not depend on the frequencies. The coefficients of all rungs are
made in one matrix product; a kernel reads the rows of the rung that its block's weights chose.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.library import custom_op

from wsgraph_encoders.fourier import fourier_features
from wsgraph_encoders.messages.harmonics import frequency_key
from wsgraph_encoders.triton.terms import terms_for

if TYPE_CHECKING:
    from wsgraph_encoders.fourier import ScalarMap

__all__ = ["Expansion", "Ladder", "expand", "ladder", "rungs"]

_RUNGS = 16
"""Up to 181 radians, 29 turns: beyond, weights take the naive formula on the CPU too."""
_TOLERANCE = 4e-7
_SLOWEST = 1e-6


class Ladder(NamedTuple):
    """All that does not depend on an encoder's weights.

    Attributes:
        frequencies: ``[F]``.
        inverse: one over each interval's half-width, float32, ``[rungs]``.
        rows: first row and number of rows of each rung's coefficients, int32, ``[rungs, 2]``.
        matrix: from Fourier features to the coefficients of all rungs, float32, ``[rows, 2F]``.
        constant: what the coefficients of the function 1 are, float32, ``[rows, 1]``.
    """

    frequencies: Tensor
    inverse: Tensor
    rows: Tensor
    matrix: Tensor
    constant: Tensor


class Expansion(NamedTuple):
    """A scalar function as the kernels read it.

    Attributes:
        coefficients: of T_0, T_1, ..., rung after rung, ``[rows, c]``.
        fourier: of the sines, the cosines and 1, ``[2F + 1, c]``: for weights outside the interval.
        ladder: the intervals.
    """

    coefficients: Tensor
    fourier: Tensor
    ladder: Ladder


@lru_cache(maxsize=1)
def rungs() -> tuple[tuple[float, int], ...]:
    """Phase in radians of the fastest frequency, and number of terms, of each rung."""
    turn = frequency_key(torch.tensor([1 / (2 * math.pi)], dtype=torch.float64))
    phases = [2 ** (rung / 2) for rung in range(_RUNGS)]
    return tuple((phase, terms_for(turn, phase, _TOLERANCE)) for phase in phases)


def ladder(frequencies: Tensor) -> Ladder:
    """The ladder of ``[F]`` frequencies, on their device; worked out in float64, with nothing read back."""
    return Ladder(frequencies.detach(), *_ladder(frequencies.detach()))


@custom_op("wsgraph_encoders::ladder", mutates_args=())
def _ladder(frequencies: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All of a ladder but the frequencies; one operator, which ``torch.compile`` does not look into."""
    device, exact = frequencies.device, frequencies.double()
    phases = torch.tensor([phase for phase, _ in rungs()], dtype=torch.float64, device=device)
    fastest = exact.abs().max().clamp(min=_SLOWEST)
    # The factor that weights are multiplied by is what float32 makes of it, or all would be off alike.
    inverse = (2 * math.pi * fastest / phases).float()
    terms = torch.tensor([count for _, count in rungs()])
    cosines, transform, constant = (table.to(device) for table in _tables())
    halves = (1 / inverse.double()).repeat_interleave(terms.to(device), output_size=len(cosines))
    matrix = (transform @ fourier_features(halves * cosines, exact)).float()
    rows = torch.stack([terms.cumsum(0) - terms, terms], 1).to(device, torch.int32)
    return inverse, rows, matrix, constant.clone()


@_ladder.register_fake
def _(frequencies: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = sum(terms for _, terms in rungs())
    like = frequencies.float()
    return (
        like.new_empty(_RUNGS),
        like.new_empty(_RUNGS, 2, dtype=torch.int32),
        like.new_empty(rows, 2 * len(frequencies)),
        like.new_empty(rows, 1),
    )


@lru_cache(maxsize=1)
def _tables() -> tuple[Tensor, Tensor, Tensor]:
    """Interpolation nodes ``[rows]``, from values there to coefficients ``[rows, rows]``, and those of 1."""
    nodes, transforms, constants = [], [], []
    for _, terms in rungs():
        k = torch.arange(terms, dtype=torch.float64)
        angles = math.pi * (k + 0.5) / terms
        transform = torch.cos(k.unsqueeze(1) * angles) * (2 / terms)
        transform[0] /= 2
        nodes.append(angles.cos())
        transforms.append(transform)
        constants.append((k == 0).float().unsqueeze(1))
    joined: Tensor = torch.block_diag(*transforms)  # type: ignore[no-untyped-call]  # torch's
    return torch.cat(nodes), joined, torch.cat(constants)


def expand(g: ScalarMap, ladder: Ladder) -> Expansion:
    """The coefficients of a scalar function, differentiable in its parameters."""
    weight = g.weight.t()
    coefficients = torch.addmm(ladder.constant * g.bias, ladder.matrix, weight)
    return Expansion(coefficients, torch.cat([weight, g.bias.unsqueeze(0)]), ladder)
