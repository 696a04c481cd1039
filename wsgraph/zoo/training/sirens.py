"""Fitting SIRENs to images, one network an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.zoo.models.siren import Siren
from wsgraph.zoo.training.ensemble import Ensemble, member_init

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["fit_sirens", "pixel_grid"]


def pixel_grid(side: int) -> Tensor:
    """Coordinates of the pixels' centres in [-1, 1], row by row, ``[side * side, 2]`` (y, x)."""
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(-1, 2)


def fit_sirens(
    images: Tensor, seeds: Sequence[int], lr: float, steps: int, device: torch.device
) -> list[tuple[dict[str, Tensor], float]]:
    """Fit one SIREN an image; returns weights and PSNR (dB, brightness in [0, 1]).

    Args:
        images: ``[m, 1, side, side]`` in [0, 1].
        seeds: of the initial weights.
        lr: step size.
        steps: of Adam, each over all pixels.
        device: where.
    """
    ensemble = Ensemble(
        Siren(),
        [member_init(Siren, seed, 1.0) for seed in seeds],
        [lr] * len(seeds),
        [0.0] * len(seeds),
        device,
    )
    grid = pixel_grid(images.shape[-1]).to(device)
    target = images.flatten(1).to(device)
    for _ in range(steps):
        ensemble.step((ensemble(grid, shared=True)[..., 0] - target).square().mean(1))
    with torch.no_grad():
        errors = (ensemble(grid, shared=True)[..., 0] - target).square().mean(1)
    psnr = (-10 * errors.clamp(min=1e-12).log10()).tolist()
    return [(ensemble.member(place), psnr[place]) for place in range(len(seeds))]
