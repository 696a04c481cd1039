"""Which models make a step of training: several architectures a step, several models an architecture."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["StepSampler", "pieces_of"]


def pieces_of(
    models: Mapping[str, Sequence[str]], chunk: int, draw: random.Random | None = None
) -> list[list[str]]:
    """Models cut into pieces of one architecture and at most ``chunk`` models.

    Args:
        models: ids by fingerprint.
        chunk: most models in a piece.
        draw: shuffles the models of each architecture, and the pieces; None keeps their order.
    """
    pieces = []
    for ids in models.values():
        ordered = list(ids)
        if draw is not None:
            draw.shuffle(ordered)
        pieces += [ordered[start : start + chunk] for start in range(0, len(ordered), chunk)]
    if draw is not None:
        draw.shuffle(pieces)
    return pieces


class StepSampler(Sampler[list[str]]):
    """Ids of the models of each step of an epoch.

    The order depends on the seed and the epoch alone, so that a resumed training sees what an uninterrupted
    one does. All epochs, and all processes of one training, have the same number of steps.

    Args:
        models: ids of the training models by fingerprint.
        batch: models a step and process, on average.
        chunk: most models of one architecture in a piece.
        seed: of the order.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(
        self,
        models: Mapping[str, Sequence[str]],
        batch: int,
        chunk: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._models = {fingerprint: sorted(ids) for fingerprint, ids in sorted(models.items())}
        self._chunk, self._seed, self._rank, self._world = min(chunk, batch), seed, rank, world
        self._epoch = 0
        pieces = len(pieces_of(self._models, self._chunk))
        total = sum(map(len, self._models.values()))
        self._steps = max(min(round(total / (batch * world)), pieces // world), 1)

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the beginning of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[str]]:
        draw = random.Random(f"{self._seed} {self._epoch}")  # noqa: S311  an order is no secret
        pieces = pieces_of(self._models, self._chunk, draw)
        bins: list[list[str]] = [[] for _ in range(self._steps * self._world)]
        while len(pieces) < len(bins):  # fewer pieces than processes: some see the same one
            pieces += pieces[: len(bins) - len(pieces)]
        for piece in sorted(pieces, key=len, reverse=True):
            min(bins, key=len).extend(piece)
        draw.shuffle(bins)
        return iter(bins[self._rank :: self._world])
