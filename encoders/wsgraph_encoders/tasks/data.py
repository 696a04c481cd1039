"""Models of a zoo on their way to an encoder: read batch by batch, never all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import torch
from torch.utils.data import Dataset

from wsgraph.events.stream import EventStream
from wsgraph_encoders.batch import Batch, collate
from wsgraph_encoders.tasks.pieces import pieces_of, room_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from wsgraph.zoo.reader import Zoo

__all__ = ["Examples", "Piece", "batch_on"]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some models with what is to be learned about them.

    Attributes:
        ids: their ids.
        batch: their event streams, in the order of ``ids``.
        targets: numbers or classes ``[n]``, or images ``[n, channels, h, w]``.
    """

    ids: tuple[str, ...]
    batch: Batch
    targets: Tensor

    def to(self, device: torch.device) -> Piece:
        """The piece with its weights on a device."""
        return Piece(self.ids, batch_on(self.batch, device), self.targets.to(device))


def batch_on(batch: Batch, device: torch.device) -> Batch:
    """A batch with its weights on a device; the batch itself where they are there already."""
    streams: dict[int, EventStream] = {}
    for group in batch.groups:
        for stream, position in zip(group.streams, group.positions, strict=True):
            weights = stream.weights
            assert weights is not None  # collate() saw to it
            moved = {name: weights[name].to(device) for name in weights}
            streams[position] = EventStream(stream.structure, moved, trusted=True)
    return collate(streams[position] for position in range(batch.size))


class Examples(Dataset[Piece]):
    """Pieces by the ids of their models; a data set for torch's ``DataLoader``.

    Args:
        zoo: where the weights are.
        table: ids and fingerprints of the models that take part.
        targets: what is to be learned, by id; without the leading dimension.
    """

    def __init__(self, zoo: Zoo, table: pl.DataFrame, targets: Mapping[str, Tensor]) -> None:
        self.zoo = zoo
        self.table = table
        self.targets = targets

    def __getitem__(self, ids: Sequence[str]) -> Piece:
        found: list[str] = []
        streams: list[EventStream] = []
        for stacked in self.zoo.batches(ids, len(ids)):
            found += stacked.ids
            streams += stacked.streams()
        return Piece(tuple(found), collate(streams), torch.stack([self.targets[model] for model in found]))

    def by_architecture(self, split: str) -> dict[str, list[str]]:
        """Ids of a split's models by fingerprint."""
        chosen = self.table.filter(pl.col("split") == split).group_by("fingerprint", maintain_order=True)
        return {str(fingerprint): group["id"].to_list() for (fingerprint,), group in chosen}

    def rooms(self, method: str, most: int) -> dict[str, int]:
        """How many models of each architecture a method reads at once, by fingerprint."""
        fingerprints = self.table["fingerprint"].unique().to_list()
        return {name: room_for(method, self.zoo.structure(name), most) for name in fingerprints}

    def ids(self, split: str, rooms: Mapping[str, int]) -> list[list[str]]:
        """Ids of all models of a split, piece by piece."""
        return pieces_of(self.by_architecture(split), rooms)

    def pieces(self, split: str, rooms: Mapping[str, int]) -> Iterator[Piece]:
        """All models of a split, piece by piece."""
        for ids in self.ids(split, rooms):
            yield self[ids]
