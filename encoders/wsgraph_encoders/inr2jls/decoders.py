"""What makes an image, or a network, of a latent representation (section 6; Table 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.inrs.siren import coordinates, render

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FeatureMapDecoder", "MemoryDecoder", "SirenDecoder"]


class FeatureMapDecoder(nn.Module):
    """Two transposed convolutions of kernel 4, stride 2, padding 1 (App. G.1.2); one decoder for all views.

    Args:
        latent: channels d of the feature map.
        hidden: channels in between.
        channels: the image's.
    """

    def __init__(self, latent: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(latent, hidden, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden, channels, 4, stride=2, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, views, d, h_s, w_s]`` to ``[batch, views, channels, 4·h_s, 4·w_s]``."""
        decoded: Tensor = self.layers(features.flatten(0, 1))
        return decoded.view(*features.shape[:2], *decoded.shape[1:])


class MemoryDecoder(nn.Module):
    """An MLP straight from the memory to the image: INR2JLS without latent generator (Table 3).

    Args:
        memory: width of the memory.
        hidden: width of the hidden layer.
        shape: channels, rows and columns of the image.
    """

    def __init__(self, memory: int, hidden: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(nn.Linear(memory, hidden), nn.ReLU(), nn.Linear(hidden, math.prod(shape)))

    def forward(self, memory: Tensor) -> Tensor:
        """``[batch, memory]`` to ``[batch, 1, channels, h, w]``."""
        image: Tensor = self.layers(memory)
        return image.view(len(memory), 1, *self.shape)


class SirenDecoder(nn.Module):
    """Two MLPs, to the weights and to the biases of a SIREN, which is then rendered: INR-INR (Table 3).

    Args:
        memory: width of the memory.
        hidden: width of the hidden layers.
        shapes: the SIREN's tensors by name.
        shape: channels, rows and columns of the image.
    """

    def __init__(
        self, memory: int, hidden: int, shapes: Mapping[str, tuple[int, ...]], shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.shapes = {name: tuple(size) for name, size in shapes.items()}
        self.shape = shape
        self.weights = self._to("weight", memory, hidden)
        self.biases = self._to("bias", memory, hidden)

    def _to(self, kind: str, memory: int, hidden: int) -> nn.Sequential:
        total = sum(math.prod(size) for name, size in self.shapes.items() if name.endswith(kind))
        return nn.Sequential(nn.Linear(memory, hidden), nn.ReLU(), nn.Linear(hidden, total))

    def stacked(self, memory: Tensor) -> dict[str, Tensor]:
        """The SIRENs that memories ``[batch, memory]`` are decoded into, as stacked state dicts."""
        found: dict[str, Tensor] = {}
        for kind, flat in (("weight", self.weights(memory)), ("bias", self.biases(memory))):
            names = [name for name in self.shapes if name.endswith(kind)]
            parts = torch.split(flat, [math.prod(self.shapes[name]) for name in names], 1)
            found |= {n: part.view(-1, *self.shapes[n]) for n, part in zip(names, parts, strict=True)}
        return found

    def forward(self, memory: Tensor) -> Tensor:
        """``[batch, memory]`` to the pictures of the SIRENs, ``[batch, 1, channels, h, w]``."""
        channels, height, width = self.shape
        points = coordinates(height, width).to(memory)
        shown = render(self.stacked(memory), points)
        return shown.transpose(1, 2).reshape(len(memory), 1, channels, height, width)
