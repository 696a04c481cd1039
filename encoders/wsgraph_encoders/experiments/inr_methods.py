"""The methods of the INR study: how each turns networks into a classifier (sections 8.1 and 9, App. B)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.baselines import FlatMLP, StaticConfig, StaticEncoder
from wsgraph_encoders.batch import collate
from wsgraph_encoders.dng import DNGEncoder
from wsgraph_encoders.experiments.results import told
from wsgraph_encoders.experiments.training import Budget, Curve, accuracy, train
from wsgraph_encoders.inr2jls import INR2JLS, FeatureMapClassifier, INR2JLSConfig, MemoryClassifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.inr2jls.config import Variant

__all__ = ["METHODS", "InrTask", "Outcome", "classify_inrs"]

_CLASSES = 10
_CHUNK = 100
_RECONSTRUCTED: dict[str, Variant] = {
    "inr2jls": "views",
    "inr2jls-plain": "plain",
    "inr2jls-noise": "noise",
    "inr-inr": "weights",
    "no-generator": "no_generator",
    "positions": "positions",
    "activations": "activations",
}
METHODS = (*_RECONSTRUCTED, "dng", "static", "flat")
"""Names of the methods: variants of INR2JLS by table, the encoder alone, and the baselines."""


@dataclass(frozen=True, slots=True, eq=False)
class InrTask:
    """Networks with their images and labels, split, and how long to train.

    Attributes:
        streams: the networks.
        images: ``[n, channels, h, w]``, where everything is computed: networks and labels are there too.
        labels: ``[n]``.
        parts: numbers of the networks to train on, to validate on, to test on.
        config: sizes of INR2JLS; its encoder's sizes are those of the encoder alone and the static baseline.
        hidden: width of classifiers.
        conv_dropout: between the convolutions of classifiers over feature maps.
        steps: of reconstruction, and of training an encoder end to end.
        classifier_steps: of classifiers over a frozen encoder.
        batch: networks a step.
        learning_rate: of all training.
        weight_decay: of classifiers over a frozen encoder.
        warmup: share of a training's steps over which the learning rate rises.
        clip: largest norm of a step's gradient.
    """

    streams: list[EventStream]
    images: Tensor
    labels: Tensor
    parts: tuple[Tensor, Tensor, Tensor]
    config: INR2JLSConfig
    hidden: int
    conv_dropout: float
    steps: int
    classifier_steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup: float
    clip: float

    def budget(self, steps: int, batch: int, weight_decay: float = 0.0) -> Budget:
        """How long to train, by the study's learning rate."""
        return Budget(steps, batch, self.learning_rate, self.warmup, self.clip, weight_decay)

    def chosen(self, rows: Tensor) -> list[EventStream]:
        """The networks of some numbers."""
        return [self.streams[row] for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method achieved.

    Attributes:
        test: accuracy on the test networks.
        validation: best accuracy on the validation networks.
        curve: validation accuracy while the classifier was trained.
        reconstruction: validation PSNR in dB while images were reconstructed; empty for other methods.
        parameters: number of parameters of encoder and classifier.
    """

    test: float
    validation: float
    curve: Curve
    reconstruction: Curve
    parameters: int


def classify_inrs(
    task: InrTask, method: str, seed: int, progress: Callable[[str], object], *, kept: Path | None = None
) -> Outcome:
    """Train one method and test it.

    Args:
        task: data and settings.
        method: one of ``METHODS``.
        seed: of parameters and of the order of examples.
        progress: called with lines for people.
        kept: a folder that trainings are kept in and gone on from, ``NAME.pt`` each.

    Raises:
        EncoderError: what is kept cannot be written, or is damaged.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        run = _Run(torch.Generator().manual_seed(seed), progress, kept)
        if method in _RECONSTRUCTED:
            config = task.config.variant(_RECONSTRUCTED[method])
            model = INR2JLS(task.streams[0], config).to(task.images.device)
            return _over_frozen(model, task, _reconstruct(model, task, run), run)
        return _end_to_end(_encoder(task, method), task, run)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the trainings of one run have in common."""

    generator: torch.Generator
    progress: Callable[[str], object]
    kept: Path | None

    def train(
        self,
        name: str,
        model: nn.Module,
        loss: Callable[[Tensor], Tensor],
        score: Callable[[], float],
        examples: int,
        budget: Budget,
    ) -> Curve:
        return train(
            model,
            loss,
            score,
            examples=examples,
            budget=budget,
            generator=self.generator,
            progress=partial(told, self.progress, name),
            state=self.kept / f"{name}.pt" if self.kept else None,
        )


def _reconstruct(model: INR2JLS, task: InrTask, run: _Run) -> Curve:
    rows, validation, _ = task.parts

    def loss(numbers: Tensor) -> Tensor:
        chosen = rows[numbers]
        return model.loss(collate(task.chosen(chosen)), task.images[chosen])

    def score() -> float:
        errors = [
            float(model.loss(collate(task.chosen(part)), task.images[part])) * len(part)
            for part in torch.split(validation, _CHUNK)
        ]
        return -10 * float(torch.tensor(sum(errors) / len(validation)).log10())

    return run.train("reconstruction", model, loss, score, len(rows), task.budget(task.steps, task.batch))


def _over_frozen(model: INR2JLS, task: InrTask, reconstruction: Curve, run: _Run) -> Outcome:
    """The encoder stays as it is, so what it makes of every network is computed once."""
    with torch.no_grad():
        features = [
            torch.cat([model.features(collate(task.chosen(part))) for part in torch.split(rows, _CHUNK)])
            for rows in task.parts
        ]
    if model.generator is None:
        head: nn.Module = MemoryClassifier(model.memory_width, _CLASSES, task.hidden)
    else:
        head = FeatureMapClassifier(
            features[0].shape[1], model.config.grid, _CLASSES, task.hidden, conv_dropout=task.conv_dropout
        )
    head.to(task.images.device)
    labels = [task.labels[rows] for rows in task.parts]

    def loss(numbers: Tensor) -> Tensor:
        return nn.functional.cross_entropy(head(features[0][numbers]), labels[0][numbers])

    def score(part: int = 1) -> float:
        logits = torch.cat([head(chunk) for chunk in torch.split(features[part], _CHUNK)])
        return accuracy(logits, labels[part])

    budget = task.budget(task.classifier_steps, 2 * task.batch, task.weight_decay)
    curve = run.train("classification", head, loss, score, len(labels[0]), budget)
    with torch.no_grad():
        test = score(2)
    return Outcome(
        test, max(curve.scores), curve, reconstruction, _count(model.encoder, model.generator, head)
    )


def _encoder(task: InrTask, method: str) -> tuple[nn.Module, int]:
    """An encoder that is trained end to end, and the width of its embedding."""
    stream, sizes = task.streams[0], task.config.encoder
    if method == "dng":
        return DNGEncoder(sizes.for_stream(stream)), sizes.hidden * task.config.channels
    if method == "static":
        # Rounds as many as layers (section 3.2).
        config = StaticConfig(sizes.frequencies, sizes.fourier_scale, sizes.hidden, sizes.edge_width)
        return StaticEncoder(config), sizes.hidden
    width = 4 * task.hidden
    return FlatMLP(stream, width), width


def _end_to_end(made: tuple[nn.Module, int], task: InrTask, run: _Run) -> Outcome:
    encoder, width = made
    # A mean over nodes, each normalised, hardly differs from network to network: what differs is scaled up.
    standard = nn.BatchNorm1d(width, affine=False)
    head = MemoryClassifier(width, _CLASSES, task.hidden)
    model = nn.ModuleList([encoder, standard, head]).to(task.images.device)
    rows = task.parts[0]

    def logits(chosen: Tensor) -> Tensor:
        found: Tensor = head(standard(encoder(collate(task.chosen(chosen))).embedding))
        return found

    def loss(numbers: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits(rows[numbers]), task.labels[rows[numbers]])

    def score(part: int = 1) -> float:
        found = torch.cat([logits(chunk) for chunk in torch.split(task.parts[part], _CHUNK)])
        return accuracy(found, task.labels[task.parts[part]])

    curve = run.train("end-to-end", model, loss, score, len(rows), task.budget(task.steps, task.batch))
    with torch.no_grad():
        test = score(2)
    return Outcome(test, max(curve.scores), curve, Curve(), _count(model))


def _count(*modules: nn.Module | None) -> int:
    return sum(p.numel() for module in modules if module is not None for p in module.parameters())
