"""Which models are read together: pieces of one architecture, in an order that mixes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wsgraph.events.structure import Structure

__all__ = ["PieceSampler", "pieces_of", "room_for"]

_PAIRS = 1 << 20
"""Edges, or pairs of nodes, whose features a baseline keeps for one backward pass: about a gigabyte."""


def room_for(method: str, structure: Structure, most: int) -> int:
    """How many models of an architecture a method can be trained on at once, in bounded memory.

    The DNG-Encoder's memory grows with the number of nodes, static message passing keeps features of all
    edges, the transformer of all pairs of nodes.

    Args:
        method: its name.
        structure: the architecture.
        most: as many in any case.
    """
    cost = 0
    if method == "static":
        cost = sum(edge.num_edges // max(edge.multiplicity, 1) for edge in structure.edges)
    elif method == "transformer":
        cost = 4 * sum(node.size for node in structure.nodes) ** 2
    return min(most, max(_PAIRS // cost, 1)) if cost else most


def pieces_of(
    models: Mapping[str, Sequence[str]], rooms: Mapping[str, int], draw: random.Random | None = None
) -> list[list[str]]:
    """Models cut into pieces of one architecture, as equal as can be.

    Args:
        models: ids by fingerprint.
        rooms: most models in a piece, by fingerprint.
        draw: shuffles the models of each architecture, and the pieces; None keeps their order.
    """
    pieces: list[list[str]] = []
    for fingerprint, ids in models.items():
        ordered = list(ids)
        if draw is not None:
            draw.shuffle(ordered)
        count = -(-len(ordered) // rooms[fingerprint])
        pieces += [ordered[place::count] for place in range(count)]
    if draw is not None:
        draw.shuffle(pieces)
    return pieces


class PieceSampler(Sampler[list[str]]):
    """The pieces of an epoch; an optimiser's step takes several.

    The order depends on the seed and the epoch alone, so that a resumed training sees what an uninterrupted
    one does. All epochs, and all processes of one training, have the same number of pieces.

    Args:
        models: ids of the training models by fingerprint.
        rooms: most models in a piece, by fingerprint.
        seed: of the order.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(
        self,
        models: Mapping[str, Sequence[str]],
        rooms: Mapping[str, int],
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._models = {fingerprint: sorted(ids) for fingerprint, ids in sorted(models.items())}
        self._rooms, self._seed, self._rank, self._world = dict(rooms), seed, rank, world
        self._epoch = 0
        self._count = -(-len(pieces_of(self._models, self._rooms)) // world)

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the beginning of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[str]]:
        draw = random.Random(f"{self._seed} {self._epoch}")  # noqa: S311  an order is no secret
        pieces = pieces_of(self._models, self._rooms, draw)
        places = range(self._rank, self._count * self._world, self._world)
        # Where the pieces do not divide evenly, the last processes see one of the first pieces again.
        return iter([pieces[place % len(pieces)] for place in places])
