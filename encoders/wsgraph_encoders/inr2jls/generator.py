"""The latent generator: one latent vector a place in the image (Eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LatentGenerator"]


class LatentGenerator(nn.Module):
    """F^n = φ_g(concat(s(t^L), θ^n)), with spatial vectors θ of its own for each view.

    Args:
        memory: width of the last memory s(t^L).
        spatial: width of a spatial vector.
        hidden: width of φ_g's hidden layer.
        latent: width d of a latent vector.
        grid: rows and columns of the feature map.
        views: number of views.
    """

    def __init__(
        self, memory: int, spatial: int, hidden: int, latent: int, grid: tuple[int, int], views: int
    ) -> None:
        super().__init__()
        self.grid, self.views = grid, views
        self.places = nn.Parameter(torch.randn(views * grid[0] * grid[1], spatial))
        # The first linear map of a concatenation, as the sum of two: the memory's is taken once a network.
        self.from_memory = nn.Linear(memory, hidden)
        self.from_place = nn.Linear(spatial, hidden, bias=False)
        self.out = nn.Linear(hidden, latent)

    def forward(self, memory: Tensor) -> Tensor:
        """``[batch, memory]`` to feature maps ``[batch, views, d, h_s, w_s]``."""
        inner = (self.from_memory(memory).unsqueeze(1) + self.from_place(self.places)).relu()
        latent = self.out(inner).view(len(memory), self.views, *self.grid, -1)
        maps: Tensor = latent.permute(0, 1, 4, 2, 3)
        return maps
