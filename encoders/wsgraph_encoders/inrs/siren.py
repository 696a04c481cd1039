"""SIRENs (Sitzmann et al. 2020): one as a module, many as one stacked state dict."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OMEGA", "Siren", "coordinates", "depth_of", "psnr", "render", "unstack"]

OMEGA = 20.0
"""Factor ω₀ inside every sine, in radians a unit. Sitzmann's 30 fits digits of 28 by 28 pixels by frequencies
that the pixels cannot show; 20 reaches 35 dB in 100 steps without."""


class Siren(nn.Module):
    """An image as a network: coordinates in, channels out; three layers of 32 as in App. G.1.1.

    Args:
        hidden: width of the hidden layers.
        layers: number of linear layers.
        channels: outputs, 1 for grey images and 3 for colour.
    """

    def __init__(self, hidden: int = 32, layers: int = 3, channels: int = 1) -> None:
        super().__init__()
        sizes = [2, *[hidden] * (layers - 1), channels]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """``[..., 2]`` to ``[..., channels]``; coordinates are in [-1, 1], (row, column)."""
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.sin(OMEGA * layer(x))
        result: Tensor = last(x)
        return result


def coordinates(height: int, width: int) -> Tensor:
    """Centres of the pixels, row by row: ``[height · width, 2]`` in [-1, 1]."""
    axes = [torch.linspace(-1, 1, size) for size in (height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 1)


def depth_of(stacked: Mapping[str, Tensor]) -> int:
    """Number of layers of stacked SIRENs."""
    return sum(name.endswith(".weight") for name in stacked)


def render(stacked: Mapping[str, Tensor], points: Tensor) -> Tensor:
    """What each of n SIRENs shows at the same points.

    Args:
        stacked: ``layers.{l}.weight`` ``[n, out, in]`` and ``layers.{l}.bias`` ``[n, out]``.
        points: ``[points, 2]``.

    Returns:
        ``[n, points, channels]``.
    """
    depth, n = depth_of(stacked), len(stacked["layers.0.weight"])
    x = points.expand(n, -1, -1)
    for layer in range(depth):
        weight, bias = stacked[f"layers.{layer}.weight"], stacked[f"layers.{layer}.bias"]
        inner = layer < depth - 1
        if inner:  # ω₀ goes into the few weights, not over all points
            weight, bias = OMEGA * weight, OMEGA * bias
        x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
        x = x.sin() if inner else x
    return x


_SHOWN = 250
"""Networks rendered at a time: activations at every pixel take hundreds of kilobytes a network."""


def psnr(stacked: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each SIREN against its image, in dB: ``[n]``.

    Args:
        stacked: n SIRENs.
        images: ``[n, h, w]`` or ``[n, channels, h, w]`` in [0, 1].
    """
    target = images.unsqueeze(1) if images.dim() == 3 else images
    points, wanted = coordinates(*target.shape[-2:]), target.flatten(2).transpose(1, 2)
    errors = [
        (render({name: t[rows] for name, t in stacked.items()}, points) - wanted[rows]).square().mean((1, 2))
        for rows in torch.split(torch.arange(len(wanted)), _SHOWN)
    ]
    return -10 * torch.cat(errors).log10()


def unstack(stacked: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """One state dict a SIREN; views of the stacked tensors."""
    return [
        {name: tensor[i] for name, tensor in stacked.items()} for i in range(len(stacked["layers.0.weight"]))
    ]
