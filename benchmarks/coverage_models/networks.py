"""Networks that no library brings, as papers and tutorials write them."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["KAN", "MixtureOfExperts", "MlpMixer", "NeRF", "UNet"]


def _double(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(n_out, n_out, 3, padding=1),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Ronneberger et al. 2015, two levels, transposed convolutions upwards."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down1, self.down2 = _double(3, width), _double(width, 2 * width)
        self.middle = _double(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.merge2 = _double(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.merge1 = _double(2 * width, width)
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, 3, height, width]`` to ``[batch, 2, height, width]``."""
        first = self.down1(x)
        second = self.down2(functional.max_pool2d(first, 2))
        y = self.middle(functional.max_pool2d(second, 2))
        y = self.merge2(torch.cat([second, self.up2(y)], 1))
        y = self.merge1(torch.cat([first, self.up1(y)], 1))
        out: Tensor = self.out(y)
        return out


class NeRF(nn.Module):
    """Mildenhall et al. 2020: encoded positions and directions to density and colour, with a skip."""

    def __init__(self, width: int = 32, octaves: int = 4) -> None:
        super().__init__()
        self.octaves = octaves
        position = 3 + 6 * octaves
        self.first = nn.ModuleList([nn.Linear(position, width), nn.Linear(width, width)])
        self.second = nn.ModuleList([nn.Linear(width + position, width), nn.Linear(width, width)])
        self.density, self.feature = nn.Linear(width, 1), nn.Linear(width, width)
        self.colour = nn.Sequential(
            nn.Linear(width + position, width // 2), nn.ReLU(), nn.Linear(width // 2, 3), nn.Sigmoid()
        )

    def encode(self, x: Tensor) -> Tensor:
        """Sines and cosines of growing frequencies beside the coordinates, ``[n, 3 + 6 * octaves]``."""
        scaled = [x * 2.0**k * math.pi for k in range(self.octaves)]
        return torch.cat([x, *(f(s) for s in scaled for f in (torch.sin, torch.cos))], -1)

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density ``[n, 1]`` and colour ``[n, 3]``."""
        encoded = self.encode(positions)
        h = encoded
        for layer in self.first:
            h = functional.relu(layer(h))
        h = torch.cat([h, encoded], -1)
        for layer in self.second:
            h = functional.relu(layer(h))
        colour = self.colour(torch.cat([self.feature(h), self.encode(directions)], -1))
        return functional.relu(self.density(h)), colour


class _MixerBlock(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.channels(self.norm2(x))
        return out


class MlpMixer(nn.Module):
    """Tolstikhin et al. 2021, two blocks."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.blocks = nn.Sequential(*(_MixerBlock(16, width) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, 3, 32, 32]`` to ``[batch, 10]``."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        out: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return out


class _SplineLayer(nn.Module):
    """One learned spline an edge, beside a weighted SiLU."""

    grid: Tensor

    def __init__(self, n_in: int, n_out: int, intervals: int = 5, order: int = 3) -> None:
        super().__init__()
        self.order = order
        step = 2 / intervals
        grid = torch.arange(-order, intervals + order + 1) * step - 1
        self.register_buffer("grid", grid.expand(n_in, -1).contiguous())
        self.base_weight = nn.Parameter(torch.randn(n_out, n_in))
        self.spline_weight = nn.Parameter(torch.randn(n_out, n_in, intervals + order))
        self.spline_scaler = nn.Parameter(torch.randn(n_out, n_in))

    def bases(self, x: Tensor) -> Tensor:
        """B-splines by Cox and de Boor's recursion, ``[batch, n_in, coefficients]``."""
        x, grid = x.unsqueeze(-1), self.grid
        b = ((x >= grid[:, :-1]) & (x < grid[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            left = (x - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)]) * b[..., :-1]
            right = (grid[:, k + 1 :] - x) / (grid[:, k + 1 :] - grid[:, 1:-k]) * b[..., 1:]
            b = left + right
        return b

    def forward(self, x: Tensor) -> Tensor:
        weight = self.spline_weight * self.spline_scaler.unsqueeze(-1)
        splines = functional.linear(self.bases(x).flatten(1), weight.flatten(1))
        return functional.linear(functional.silu(x), self.base_weight) + splines


class KAN(nn.Module):
    """Liu et al. 2024 with B-spline coefficients, as efficient-kan writes it."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_SplineLayer(a, b) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, widths[0]]`` to ``[batch, widths[-1]]``."""
        out: Tensor = self.layers(x)
        return out


class MixtureOfExperts(nn.Module):
    """Four feed-forward experts, all run, weighted by a router's softmax over its two best."""

    def __init__(self, width: int = 16, experts: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(experts)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, tokens, width]`` to the same shape."""
        logits = self.router(x)
        best = torch.topk(logits, 2, dim=-1).values[..., -1:]
        weights = logits.masked_fill(logits < best, float("-inf")).softmax(-1)
        parts = [expert(x) * weights[..., k : k + 1] for k, expert in enumerate(self.experts)]
        return x + torch.stack(parts).sum(0)
