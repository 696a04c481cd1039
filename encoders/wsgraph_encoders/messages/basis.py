"""Bases in which a scalar function is expanded: harmonics of one frequency, or all Fourier features.

In any of them g(w) = coefficients_0 + Σ_k features(w)_k · coefficients_k, and coefficients are linear in the
map's parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from wsgraph_encoders.fourier import fourier_phase
from wsgraph_encoders.messages.harmonics import frequencies_of, harmonics, harmonics_of

if TYPE_CHECKING:
    from wsgraph_encoders.fourier import ScalarMap

__all__ = ["Basis", "ConstantBasis", "FourierBasis", "HarmonicBasis", "harmonic_basis"]


class Basis(Protocol):
    """A set of functions of one scalar, the function one apart."""

    @property
    def terms(self) -> int:
        """Number of functions beside one, K."""
        ...

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, K, s]``; the second dimension is the function's."""
        ...

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[1 + K, c]``, that of one first; differentiable in the map's parameters."""
        ...

    def inside(self, w: Tensor) -> Tensor | None:
        """Where the expansion holds, a mask like ``w``; None for everywhere that this block has weights.

        Features are zero elsewhere, and the function one has to be taken for zero there.
        """
        ...


@dataclass(frozen=True, slots=True)
class FourierBasis:
    """Sines and cosines of all frequencies: exact for any weight.

    Attributes:
        frequencies: ``[F]``.
    """

    frequencies: Tensor

    @property
    def terms(self) -> int:
        """2F."""
        return 2 * self.frequencies.numel()

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, 2F, s]``."""
        phase = fourier_phase(w.unsqueeze(1), self.frequencies.unsqueeze(-1))
        return torch.cat([phase.sin(), phase.cos()], 1)

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[1 + 2F, c]``."""
        return torch.cat([g.bias.unsqueeze(0), g.weight.t()])

    def inside(self, w: Tensor) -> Tensor | None:  # noqa: ARG002  it holds everywhere
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class ConstantBasis:
    """Nothing but one, for weights that are all the same: a fresh normalisation's, say.

    Attributes:
        value: the weight.
    """

    value: float

    @property
    def terms(self) -> int:
        """0."""
        return 0

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, 0, s]``."""
        return w.new_empty(w.shape[0], 0, w.shape[1])

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[1, c]``."""
        return g(g.frequencies.new_tensor([self.value]))

    def inside(self, w: Tensor) -> Tensor | None:  # noqa: ARG002  all weights are the same
        """None."""
        return None


@dataclass(frozen=True, slots=True, eq=False)
class HarmonicBasis:
    """Harmonics of one frequency, around an interval's middle; see :func:`harmonics`.

    Attributes:
        centre: the interval's middle.
        half: half its length.
        terms: 2J.
        omega: the angular frequencies of the J harmonics, each a sine and a cosine, ``[J, 1]``.
        matrix: from one and the Fourier features to one and these, ``[1 + 2J, 1 + 2F]``.
        split: True where some weights lie outside; their features are zero.
    """

    centre: float
    half: float
    terms: int
    omega: Tensor
    matrix: Tensor
    split: bool

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, 2J, s]``."""
        x, omega = w - self.centre if self.centre else w, self.omega.to(w.device)
        if not self.split:
            return harmonics_of(x, omega)
        inside = x.detach().abs() <= self.half
        return harmonics_of(torch.where(inside, x, 0), omega) * inside.unsqueeze(1)

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[1 + 2J, c]``."""
        one, waves = torch.split_with_sizes(self.matrix.to(g.weight.device), [1, g.weight.shape[1]], 1)
        return torch.addcmul(nn.functional.linear(waves, g.weight), one, g.bias)

    def inside(self, w: Tensor) -> Tensor | None:
        """See :meth:`Basis.inside`."""
        if not self.split:
            return None
        return (w.detach().to(self.matrix.dtype) - self.centre).abs() <= self.half


@lru_cache(maxsize=1024)
def harmonic_basis(
    key: bytes, dtype: torch.dtype, interval: tuple[float, float], tolerance: float, *, split: bool
) -> HarmonicBasis | None:
    """The basis of an interval; None where the Fourier features themselves are no more.

    Args:
        key: the frequencies; see :func:`frequency_key`.
        dtype: what to compute in.
        interval: middle and half-width.
        tolerance: see :func:`harmonics`.
        split: whether weights may lie outside.
    """
    centre, half = interval
    found = harmonics(key, half, tolerance)
    if found is None:
        return None
    omega = 2 * math.pi * frequencies_of(key)
    # sin ω(x + c) = cos ωc · sin ωx + sin ωc · cos ωx, and likewise the cosine.
    sin, cos = torch.sin(omega * centre), torch.cos(omega * centre)
    one, sines, cosines = torch.split(found.matrix, [1, len(omega), len(omega)], 1)
    matrix = torch.cat([one, sines * cos + cosines * sin, cosines * cos - sines * sin], 1)
    harmonic = found.step * torch.arange(1, found.count + 1, dtype=torch.float64).unsqueeze(1)
    return HarmonicBasis(centre, half, 2 * found.count, harmonic.to(dtype), matrix.to(dtype), split)
