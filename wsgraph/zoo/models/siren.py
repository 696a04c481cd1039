"""The SIREN of ``wsgraph zoo train siren``."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Siren"]


class Siren(nn.Module):
    """Linear layers with ``sin(omega x)`` between them (Sitzmann et al. 2020).

    Args:
        widths: of the input, the hidden layers and the output.
        omega: frequency of the sines, radians a unit.
    """

    def __init__(self, widths: Sequence[int] = (2, 32, 32, 1), omega: float = 30.0) -> None:
        super().__init__()
        self.omega = omega
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        for place, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Linear)
            bound = 1 / layer.in_features if place == 0 else (6 / layer.in_features) ** 0.5 / omega
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates ``[batch, 2]`` in [-1, 1] to brightness ``[batch, 1]``."""
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.sin(self.omega * layer(x))
        out: Tensor = last(x)
        return out
