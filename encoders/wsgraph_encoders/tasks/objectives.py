"""What a task asks of a model's outputs: a loss, and the values that are predicted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgraph_encoders.inr2jls import INR2JLS
from wsgraph_encoders.tasks.predictor import Predictor

if TYPE_CHECKING:
    from wsgraph_encoders.tasks.data import Piece
    from wsgraph_encoders.tasks.task import Task

__all__ = ["ImageObjective", "LabelObjective", "Objective", "objective_of"]

_LIMIT = 1e-3


class Objective(Protocol):
    """How a model is trained and read."""

    def prepare(self, model: nn.Module) -> None:
        """Give a fresh model a start that suits the labels."""

    def loss(self, model: nn.Module, piece: Piece) -> Tensor:
        """What is minimised, a scalar."""

    def values(self, model: nn.Module, piece: Piece) -> Tensor:
        """Predictions ``[n]``: numbers, numbers of classes, or PSNRs in dB."""


class LabelObjective:
    """Numbers and classes.

    Args:
        task: ``accuracy``, ``regress`` or ``classify``.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def prepare(self, model: nn.Module) -> None:
        """The first predictions are near the labels' mean."""
        if self.task.kind == "accuracy":
            mean = min(max(self.task.mean, _LIMIT), 1 - _LIMIT)
            assert isinstance(model, Predictor)
            last = model.head[-1]
            assert isinstance(last, nn.Linear)
            nn.init.constant_(last.bias, math.log(mean / (1 - mean)))

    def loss(self, model: nn.Module, piece: Piece) -> Tensor:
        """Binary cross entropy (section 8.2), squared error of standardised numbers, or cross entropy."""
        outputs = model(piece.batch)
        if self.task.kind == "classify":
            return functional.cross_entropy(outputs, piece.targets)
        targets = piece.targets.to(outputs.dtype)
        if self.task.kind == "accuracy":
            return functional.binary_cross_entropy_with_logits(outputs[:, 0], targets)
        return functional.mse_loss(outputs[:, 0], (targets - self.task.mean) / self.task.deviation)

    def values(self, model: nn.Module, piece: Piece) -> Tensor:
        """Predictions ``[n]``."""
        return self.read(model(piece.batch))

    def read(self, outputs: Tensor) -> Tensor:
        """Predictions ``[n]`` from a model's outputs ``[n, outputs]``."""
        if self.task.kind == "classify":
            return outputs.argmax(1)
        if self.task.kind == "accuracy":
            return outputs[:, 0].sigmoid()
        return outputs[:, 0] * self.task.deviation + self.task.mean


class ImageObjective:
    """Images that INRs hold; the model is an INR2JLS."""

    def prepare(self, model: nn.Module) -> None:
        """Nothing to do."""

    def loss(self, model: nn.Module, piece: Piece) -> Tensor:
        """Mean squared error over all views (Eq. 8)."""
        assert isinstance(model, INR2JLS)
        return model.loss(piece.batch, piece.targets)

    def values(self, model: nn.Module, piece: Piece) -> Tensor:
        """PSNR of the image itself, the first view, dB: ``[n]``."""
        return psnr(self.images(model, piece), piece.targets)

    def images(self, model: nn.Module, piece: Piece) -> Tensor:
        """Reconstructions ``[n, channels, h, w]``."""
        images: Tensor = model(piece.batch).images[:, 0]
        return images


def psnr(shown: Tensor, images: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images ``[n, channels, h, w]`` in [0, 1], dB: ``[n]``."""
    error = (shown - images).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp(min=1e-10))


def objective_of(task: Task) -> Objective:
    """The objective of a task."""
    return ImageObjective() if task.kind == "reconstruct" else LabelObjective(task)
