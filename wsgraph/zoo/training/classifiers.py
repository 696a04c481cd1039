"""Training a group of classifiers that share their architecture and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from wsgraph.zoo.training.ensemble import Ensemble, member_init

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from wsgraph.zoo.training.images import ImageSet
    from wsgraph.zoo.training.recipes import Member

__all__ = ["Trained", "train_group"]

_BATCH = 64
_EVALUATED = 1000
_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network.

    Attributes:
        weights: its state dict.
        results: ``train_accuracy`` and ``train_loss`` on up to 1,000 of its own training images with the
            labels that it was given, ``test_accuracy`` and ``test_loss`` on up to 1,000 test images.
    """

    weights: dict[str, Tensor]
    results: dict[str, float]


class _Data:
    """One member's images, labels and batches, all drawn from its seed."""

    def __init__(self, member: Member, images: ImageSet) -> None:
        self._draw = torch.Generator().manual_seed(member.seed)
        total = len(images.train)
        count = max(round(member.data_fraction * total), _BATCH)
        self.chosen = torch.randperm(total, generator=self._draw)[:count]
        self.labels = images.train_labels.clone()
        wrong = torch.rand(total, generator=self._draw) < member.label_noise
        self.labels[wrong] = torch.randint(_CLASSES, (total,), generator=self._draw)[wrong]

    def batches(self, steps: int) -> Tensor:
        """Positions of training images, ``[steps, batch]``."""
        return self.chosen[torch.randint(len(self.chosen), (steps, _BATCH), generator=self._draw)]


def train_group(
    build: Callable[[], nn.Module], members: Sequence[Member], images: ImageSet, device: torch.device
) -> list[Trained]:
    """Train networks of one architecture side by side, each until its own last epoch.

    Args:
        build: makes a network of the architecture.
        members: how to train each network.
        images: what to learn.
        device: where.
    """
    data = [_Data(member, images) for member in members]
    ensemble = Ensemble(
        build(),
        [member_init(build, member.seed, member.init_scale) for member in members],
        [member.lr for member in members],
        [member.weight_decay for member in members],
        device,
    )
    pixels, steps = images.train.to(device), -(-len(images.train) // _BATCH)
    active, trained = list(range(len(members))), {}
    for epoch in range(1, max(member.epochs for member in members) + 1):
        picked = torch.stack([data[i].batches(steps) for i in active])
        labels = torch.stack([data[i].labels for i in active])
        for step in range(steps):
            batch = picked[:, step]
            target = labels.gather(1, batch).to(device)
            logits = ensemble(pixels[batch.to(device)])
            ensemble.step(_losses(logits, target))
        if any(members[i].epochs == epoch for i in active):
            results = _evaluate(ensemble, [data[i] for i in active], images, pixels)
            for place, i in enumerate(active):
                if members[i].epochs == epoch:
                    trained[i] = Trained(ensemble.member(place), results[place])
            left = [place for place, i in enumerate(active) if members[i].epochs > epoch]
            active = [active[place] for place in left]
            ensemble.keep(torch.tensor(left, dtype=torch.int64, device=device))
    return [trained[i] for i in range(len(members))]


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of each network, ``[m]``; logits ``[m, batch, classes]``."""
    each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(dim=1)


@torch.no_grad()
def _evaluate(
    ensemble: Ensemble, data: Sequence[_Data], images: ImageSet, pixels: Tensor
) -> list[dict[str, float]]:
    device = pixels.device
    test_labels = images.test_labels[:_EVALUATED].to(device).expand(len(data), -1)
    test = ensemble(images.test[:_EVALUATED].to(device), shared=True)
    count = min(_EVALUATED, *(len(own.chosen) for own in data))
    own = torch.stack([each.chosen[:count] for each in data])
    own_labels = torch.stack([each.labels for each in data]).gather(1, own).to(device)
    train = ensemble(pixels[own.to(device)])
    columns = {
        "train_accuracy": (train.argmax(-1) == own_labels).float().mean(1),
        "train_loss": _losses(train, own_labels),
        "test_accuracy": (test.argmax(-1) == test_labels).float().mean(1),
        "test_loss": _losses(test, test_labels),
    }
    rows = {name: values.tolist() for name, values in columns.items()}
    return [{name: rows[name][place] for name in rows} for place in range(len(data))]
