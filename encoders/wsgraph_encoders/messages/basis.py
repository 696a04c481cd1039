"""Bases in which a scalar function is expanded: some sines and cosines, or the Fourier features themselves.

In any of them g(w) = coefficients_0 + Σ_k features(w)_k · coefficients_k, and coefficients are linear in the
map's parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from wsgraph_encoders.fourier import fourier_phase
from wsgraph_encoders.messages.skeleton import frequencies_of, skeleton

if TYPE_CHECKING:
    from wsgraph_encoders.fourier import ScalarMap

__all__ = ["Basis", "ConstantBasis", "FourierBasis", "SkeletonBasis", "skeleton_basis"]


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
class SkeletonBasis:
    """Sines and cosines of a few of the frequencies, around an interval's middle; see :func:`skeleton`.

    Attributes:
        centre: the interval's middle.
        half: half its length.
        omega: angular frequencies of the sines, then those of the cosines, ``[K, 1]``.
        sines: how many are sines.
        matrix: from one and the Fourier features to one and these, ``[1 + K, 1 + 2F]``.
        split: True where some weights lie outside; their features are zero.
    """

    centre: float
    half: float
    omega: Tensor
    sines: int
    matrix: Tensor
    split: bool

    @property
    def terms(self) -> int:
        """K."""
        return len(self.omega)

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, K, s]``."""
        x = w - self.centre if self.centre else w
        inside = x.detach().abs() <= self.half if self.split else None
        x = x if inside is None else torch.where(inside, x, 0)
        phase = x.unsqueeze(1) * self.omega.to(w.device)
        sine, cosine = phase[:, : self.sines], phase[:, self.sines :]
        if phase.requires_grad:
            phase = torch.cat([sine.sin(), cosine.cos()], 1)
        else:
            sine.sin_()
            cosine.cos_()
        return phase if inside is None else phase * inside.unsqueeze(1)

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[1 + K, c]``."""
        matrix = self.matrix.to(g.weight.device)
        return torch.addmm(matrix[:, :1] * g.bias, matrix[:, 1:], g.weight.t())

    def inside(self, w: Tensor) -> Tensor | None:
        """See :meth:`Basis.inside`."""
        return (w - self.centre).abs() <= self.half if self.split else None


@lru_cache(maxsize=1024)
def skeleton_basis(
    key: bytes, dtype: torch.dtype, interval: tuple[float, float], tolerance: float, *, split: bool
) -> SkeletonBasis:
    """The basis of an interval.

    Args:
        key: the frequencies; see :func:`frequency_key`.
        dtype: what to compute in.
        interval: middle and half-width.
        tolerance: see :func:`skeleton`.
        split: whether weights may lie outside.
    """
    centre, half = interval
    found = skeleton(key, half, tolerance)
    omega = 2 * math.pi * frequencies_of(key)
    count = omega.numel()
    # sin ω(x + c) = cos ωc · sin ωx + sin ωc · cos ωx, and likewise the cosine.
    sin, cos = torch.diag(torch.sin(omega * centre)), torch.diag(torch.cos(omega * centre))
    moved = torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])
    shifted = torch.block_diag(torch.ones(1, 1, dtype=torch.float64), moved)
    chosen = torch.cat([omega, omega])[list(found.chosen)].unsqueeze(1)
    sines = sum(column < count for column in found.chosen)
    matrix = found.matrix @ shifted
    return SkeletonBasis(centre, half, chosen.to(dtype), sines, matrix.to(dtype), split)
