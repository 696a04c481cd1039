"""Bases in which a scalar function is expanded: Chebyshev polynomials, or the Fourier features themselves.

In either, g(w) = Σ_k features(w)_k · coefficients_k, and coefficients are linear in the map's parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from wsgraph_encoders.fourier import fourier_features, fourier_phase

if TYPE_CHECKING:
    from wsgraph_encoders.fourier import ScalarMap

__all__ = ["Basis", "ChebyshevBasis", "ConstantBasis", "FourierBasis", "frequency_key"]

_FEW = 1 << 13


class Basis(Protocol):
    """A set of functions of one scalar."""

    @property
    def terms(self) -> int:
        """Number of functions, K."""
        ...

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, K, s]``; the second dimension is the function's."""
        ...

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[K, c]``, differentiable in the map's parameters."""
        ...

    def inside(self, w: Tensor) -> Tensor | None:
        """Where the expansion holds, a mask like ``w``; None for everywhere that this block has weights.

        Features are zero elsewhere.
        """
        ...


@dataclass(frozen=True, slots=True)
class FourierBasis:
    """Sines, cosines and one: exact for any weight.

    Attributes:
        frequencies: ``[F]``.
    """

    frequencies: Tensor

    @property
    def terms(self) -> int:
        """2F + 1."""
        return 2 * self.frequencies.numel() + 1

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, 2F + 1, s]``."""
        phase = fourier_phase(w.unsqueeze(1), self.frequencies.unsqueeze(-1))
        return torch.cat([phase.sin(), phase.cos(), torch.ones_like(phase[:, :1])], 1)

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[2F + 1, c]``."""
        return torch.cat([g.weight.t(), g.bias.unsqueeze(0)])

    def inside(self, w: Tensor) -> Tensor | None:  # noqa: ARG002  it holds everywhere
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class ConstantBasis:
    """One, for weights that are all the same: a fresh normalisation's, say.

    Attributes:
        value: the weight.
    """

    value: float

    @property
    def terms(self) -> int:
        """1."""
        return 1

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, 1, s]``."""
        return torch.ones_like(w).unsqueeze(1)

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[1, c]``."""
        return g(g.frequencies.new_tensor([self.value]))

    def inside(self, w: Tensor) -> Tensor | None:  # noqa: ARG002  all weights are the same
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class ChebyshevBasis:
    """Chebyshev polynomials T_k on an interval, up to signs that save an operation a term.

    Attributes:
        centre: the interval's middle.
        half: half its length, greater than zero.
        terms: K.
        split: True where some weights lie outside; their features are zero.
    """

    centre: float
    half: float
    terms: int
    split: bool

    def features(self, w: Tensor) -> Tensor:
        """``[rows, s]`` to ``[rows, K, s]``."""
        x = (w - self.centre) * (1 / self.half)
        inside = x.detach().abs() <= 1 if self.split else None
        x = x if inside is None else torch.where(inside, x, 0)
        features: Tensor = _Chebyshev.apply(x, inside, self.terms)  # type: ignore[no-untyped-call]  # torch's
        return features

    def coefficients(self, g: ScalarMap) -> Tensor:
        """``[K, c]``."""
        matrix = _interpolation(frequency_key(g.frequencies), g.frequencies.dtype, self)
        matrix = matrix.to(g.weight.device)
        return torch.addmm(g.bias * matrix[:, :1], matrix[:, 1:], g.weight.t())

    def inside(self, w: Tensor) -> Tensor | None:
        """See :meth:`Basis.inside`."""
        if not self.split:
            return None
        mask: Tensor = ((w - self.centre) * (1 / self.half)).abs() <= 1
        return mask


def frequency_key(frequencies: Tensor) -> bytes:
    """The frequencies' bytes: what is worked out from them is kept under these."""
    return frequencies.detach().cpu().double().numpy().tobytes()


@lru_cache(maxsize=1024)
def _interpolation(key: bytes, dtype: torch.dtype, basis: ChebyshevBasis) -> Tensor:
    """From one and the Fourier features to Chebyshev coefficients, ``[K, 1 + 2F]``.

    The interpolant at K Chebyshev nodes; worked out in float64, so that small terms keep their digits.
    """
    frequencies = torch.frombuffer(bytearray(key), dtype=torch.float64)
    k = torch.arange(basis.terms, dtype=torch.float64)
    angles = math.pi * (k + 0.5) / basis.terms
    features = fourier_features(basis.centre + basis.half * angles.cos(), frequencies)
    transform = torch.cos(k.unsqueeze(1) * angles) * (2 / basis.terms) * _signs(k).unsqueeze(1)
    transform[0] /= 2
    constant = torch.zeros(basis.terms, 1, dtype=torch.float64)
    constant[0] = 1
    return torch.cat([constant, transform @ features], 1).to(dtype)


def _signs(k: Tensor) -> Tensor:
    """+, +, -, -: with them the recurrence is one fused multiply-add."""
    return 1 - 2 * ((k // 2) % 2)


class _Chebyshev(torch.autograd.Function):
    """Signed polynomials S_k = ±T_k: S_{k+1} = S_{k-1} ± 2x·S_k."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inside: Tensor | None, terms: int) -> Tensor:
        ctx.save_for_backward(x, inside)
        if x.numel() * terms <= _FEW:
            return _by_angle(x, inside, terms)
        out = x.new_empty(x.shape[0], terms, x.shape[1])
        if inside is None:
            out[:, 0] = 1
        else:
            out[:, 0] = inside
        return _recur(out, x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """T_k' = k·U_{k-1}, and U obeys the recurrence of T, with its signs."""
        (grad,) = grads
        x, inside = ctx.saved_tensors
        terms = grad.shape[1]
        if terms == 1:
            return torch.zeros_like(x), None, None
        second = x.new_empty(x.shape[0], terms - 1, x.shape[1])
        second[:, 0] = 1
        _recur(second, x, first=2)
        # S_k = s_k T_k and the recurrence gives s_j U_j, so that S_k' = k·(s_k s_{k-1})·(s_{k-1} U_{k-1}).
        k = torch.arange(terms, dtype=x.dtype, device=x.device)
        factor = (k * _signs(k))[1:] * _signs(k)[:-1]
        total = second.mul_(grad[:, 1:]).mul_(factor.unsqueeze(-1)).sum(1)
        return total if inside is None else total * inside, None, None


def _by_angle(x: Tensor, inside: Tensor | None, terms: int) -> Tensor:
    """T_k(x) = cos(k·arccos x): slower an element than the recurrence, with fewer calls for few elements."""
    k = torch.arange(terms, dtype=x.dtype, device=x.device).unsqueeze(1)
    out = torch.cos(x.clamp(-1, 1).acos().unsqueeze(1) * k).mul_(_signs(k))
    return out if inside is None else out.mul_(inside.unsqueeze(1))


def _recur(out: Tensor, x: Tensor, first: int = 1) -> Tensor:
    """Fill ``out`` [rows, K, s] from its first term on; the second one is ``first``·x times it."""
    terms = out.unbind(1)
    if len(terms) > 1:
        torch.mul(terms[0], x if first == 1 else first * x, out=terms[1])
    for k in range(2, len(terms)):
        torch.addcmul(terms[k - 2], x, terms[k - 1], value=2 if k % 2 else -2, out=terms[k])
    return out
