"""Random Fourier features of one scalar, and linear maps of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["FourierFeatures", "Frequencies", "ScalarMap", "fourier_features", "fourier_phase"]

_LARGEST = 1e30
"""Far beyond this the phase of a finite number overflows; no digit of it means anything long before."""


def fourier_features(x: Tensor, frequencies: Tensor) -> Tensor:
    """``[sin 2πbx, cos 2πbx]``: ``[...]`` to ``[..., 2F]``, in the dtype of ``frequencies`` ``[F]``."""
    phase = fourier_phase(x.unsqueeze(-1), frequencies)
    return torch.cat([phase.sin(), phase.cos()], -1)


def fourier_phase(x: Tensor, frequencies: Tensor) -> Tensor:
    """``2πbx``, in the dtype of ``frequencies``; the two are broadcast."""
    x = x.to(frequencies.dtype).clamp(-_LARGEST, _LARGEST)
    return (2 * math.pi) * (x * frequencies)


class ScalarMap(NamedTuple):
    """A function of one scalar: ``g(x) = weight @ fourier(x) + bias``, the edge's side of Eq. 4 and 5.

    Attributes:
        frequencies: ``[F]``.
        weight: ``[c, 2F]``.
        bias: ``[c]``.
    """

    frequencies: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``[...]`` to ``[..., c]``."""
        return nn.functional.linear(fourier_features(x, self.frequencies), self.weight, self.bias)


class Frequencies(NamedTuple):
    """The frequencies of an encoder, as its steps use them.

    Attributes:
        b: ``[F]``.
    """

    b: Tensor

    def map(self, linear: nn.Linear, shift: Tensor | None = None) -> ScalarMap:
        """The scalar function ``linear(fourier(x) + shift)``; ``shift`` is ``[2F]``."""
        bias = linear.bias if shift is None else linear(shift)
        return ScalarMap(self.b, linear.weight, bias)

    def features(self, x: Tensor) -> Tensor:
        """``[...]`` to ``[..., 2F]``."""
        return fourier_features(x, self.b)


class FourierFeatures(nn.Module):
    """The fixed Gaussian frequencies b.

    Args:
        count: number of frequencies F; features are 2F wide.
        scale: their standard deviation, in turns a unit of weight.
    """

    b: Tensor

    def __init__(self, count: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("b", scale * torch.randn(1, count))

    @property
    def frequencies(self) -> Frequencies:
        """The frequencies without the module around them."""
        return Frequencies(self.b[0])

    def forward(self, x: Tensor) -> Tensor:
        """``[...]`` to ``[..., 2F]``."""
        return fourier_features(x, self.b[0])
