"""Fitting SIRENs: all networks of a chunk are one batched network, and one Adam steps them all."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.inrs.siren import OMEGA, coordinates, render

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fit_sirens", "initial_sirens"]


def fit_sirens(  # noqa: PLR0913  the settings of a fit
    images: Tensor,
    seed: int = 0,
    steps: int = 100,
    *,
    hidden: int = 32,
    layers: int = 3,
    learning_rate: float = 1e-2,
    chunk: int = 20,
    first: int = 0,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Tensor]:
    """One SIREN an image, each from a random initialisation of its own.

    Networks do not see each other: losses add up, and Adam works element by element. The initialisation
    of image i depends on ``seed`` and ``first + i`` alone, so that a data set can be fitted piece by piece.

    Args:
        images: ``[n, h, w]`` or ``[n, channels, h, w]`` in [0, 1].
        seed: of the initialisations.
        steps: of Adam, over all pixels; the learning rate rises for a tenth of them, then falls
            along a cosine.
        hidden: width of the hidden layers.
        layers: number of linear layers.
        learning_rate: the highest one.
        chunk: images fitted at a time; what the cache holds.
        first: number of the first image in its data set.
        progress: called with the number of images done after each chunk.

    Returns:
        ``layers.{l}.weight`` ``[n, out, in]`` and ``layers.{l}.bias`` ``[n, out]``; state dicts of
        :class:`Siren`, stacked. :func:`unstack` takes them apart.

    Raises:
        EncoderError: the images have another shape, or are none.
    """
    if images.dim() not in (3, 4) or len(images) == 0:
        raise EncoderError(f"expected images [n, h, w] or [n, channels, h, w], got {list(images.shape)}")
    channelled = (images.unsqueeze(1) if images.dim() == 3 else images).float()
    points = coordinates(*channelled.shape[-2:])
    targets = channelled.flatten(2).transpose(1, 2).contiguous()
    sizes = [2, *[hidden] * (layers - 1), channelled.shape[1]]
    pieces = []
    for start in range(0, len(targets), chunk):
        part = targets[start : start + chunk]
        stacked = initial_sirens(sizes, seed, range(first + start, first + start + len(part)))
        pieces.append(_fit(stacked, points, part, steps, learning_rate))
        if progress is not None:
            progress(start + len(part))
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def initial_sirens(sizes: list[int], seed: int, numbers: range) -> dict[str, Tensor]:
    """Sitzmann's initialisation: uniform in ±1/in for the first layer, in ±√(6/in)/ω₀ for the others.

    Biases are uniform in ±1/√in, over ω₀ after the first layer.

    Args:
        sizes: neurons a layer, inputs first.
        seed: of the data set.
        numbers: which images.
    """
    names: dict[str, list[Tensor]] = {}
    for number in numbers:
        generator = torch.Generator().manual_seed(
            (seed * 2_654_435_761 + number) % (1 << 32)
        )  # it reads 32 bits
        for layer, (before, after) in enumerate(pairwise(sizes)):
            omega = 1.0 if layer == 0 else OMEGA
            bound = 1 / before if layer == 0 else math.sqrt(6 / before) / omega
            weight = torch.empty(after, before).uniform_(-bound, bound, generator=generator)
            bias = torch.empty(after).uniform_(-1, 1, generator=generator) / (math.sqrt(before) * omega)
            names.setdefault(f"layers.{layer}.weight", []).append(weight)
            names.setdefault(f"layers.{layer}.bias", []).append(bias)
    return {name: torch.stack(tensors) for name, tensors in names.items()}


def _fit(
    stacked: dict[str, Tensor], points: Tensor, targets: Tensor, steps: int, learning_rate: float
) -> dict[str, Tensor]:
    parameters = {name: tensor.requires_grad_() for name, tensor in stacked.items()}
    optimiser = torch.optim.Adam(parameters.values(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=max(steps, 1), pct_start=0.1
    )
    for _ in range(steps):
        optimiser.zero_grad()
        error = render(parameters, points) - targets
        # The mean over a network's own pixels, the sum over networks: no gradient depends on the chunk.
        torch.autograd.backward(error.square().mean((1, 2)).sum())
        optimiser.step()
        schedule.step()
    return {name: tensor.detach() for name, tensor in parameters.items()}
