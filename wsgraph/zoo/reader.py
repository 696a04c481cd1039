"""Reading a zoo: its tables, and its models' weights straight from the mapped shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from torch import Tensor

from wsgraph.errors import ZooError
from wsgraph.events.file import load
from wsgraph.events.stream import EventStream
from wsgraph.zoo.layout import failures_path, models_path, read_manifest, structure_path
from wsgraph.zoo.shards import ShardReader
from wsgraph.zoo.table import FAILURES, MODELS, read_table

if TYPE_CHECKING:
    from os import PathLike

    from wsgraph.events.structure import Structure

__all__ = ["Batch", "Zoo", "open_zoo"]


class RowWeights(Mapping[str, Tensor]):
    """One model's tensors: row ``row`` of the stacks, taken when they are asked for."""

    def __init__(self, stacks: Mapping[str, Tensor], row: int) -> None:
        self._stacks = stacks
        self._row = row

    def __getitem__(self, name: str) -> Tensor:
        return self._stacks[name][self._row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stacks)

    def __len__(self) -> int:
        return len(self._stacks)


@dataclass(frozen=True, slots=True)
class Batch:
    """Models of one architecture.

    Attributes:
        structure: their structure.
        ids: their ids.
        weights: their tensors by name, ``[n, *shape]``; a tied tensor once, under the name that the others
            are tied to.
    """

    structure: Structure
    ids: tuple[str, ...]
    weights: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.ids)

    def streams(self) -> Iterator[EventStream]:
        """The models as event streams, in the order of ``ids``; no weights are copied."""
        for row in range(len(self.ids)):
            yield EventStream(self.structure, RowWeights(self.weights, row), trusted=True)


class Zoo:
    """A zoo as it was when it was opened; what writers add later is not seen.

    Weights stay on disk and are mapped into memory batch by batch, so zoos larger than memory work. A zoo
    may be sent to other processes.

    Args:
        path: the zoo's folder.

    Raises:
        ZooError: the folder is no zoo, or is damaged.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.history: list[dict[str, object]] = read_manifest(self.path)["history"]
        self.failures = read_table(failures_path(self.path), FAILURES)
        self.models = read_table(models_path(self.path), MODELS)
        self._structures: dict[str, Structure] = {}
        self._rows: dict[str, int] = dict(self.models.group_by("fingerprint").len().iter_rows())

    def __len__(self) -> int:
        return len(self.models)

    def __repr__(self) -> str:
        return f"Zoo({str(self.path)!r}, {len(self):,} models of {len(self._rows):,} architectures)"

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Architectures, in the order in which they first appear."""
        return tuple(self.models["fingerprint"].unique(maintain_order=True))

    def structure(self, fingerprint: str) -> Structure:
        """The structure of an architecture, read once.

        Raises:
            ZooError: the zoo has no model of it.
            FileFormatError: its file is missing or damaged.
        """
        if fingerprint not in self._rows:
            raise ZooError(
                f"{self.path} has no architecture {fingerprint!r}", remedy="see zoo.fingerprints for them"
            )
        if fingerprint not in self._structures:
            stored = load(structure_path(self.path, fingerprint)).structure
            if stored.fingerprint != fingerprint:
                raise ZooError(f"{structure_path(self.path, fingerprint)} holds another structure")
            self._structures[fingerprint] = stored
        return self._structures[fingerprint]

    def batches(self, select: str | Sequence[str] | None = None, batch: int = 64) -> Iterator[Batch]:
        """Models stacked, architecture by architecture and in the order of their rows.

        Args:
            select: a fingerprint, ids, or None for all models.
            batch: most models in a batch; one batch never mixes architectures.

        Raises:
            ZooError: an id or fingerprint is not in the zoo, or a shard is damaged.
        """
        if batch < 1:
            raise ZooError(f"a batch has at least one model, got batch={batch}")
        chosen = self._chosen(select)
        for (fingerprint,), group in chosen.group_by(["fingerprint"], maintain_order=True):
            structure = self.structure(str(fingerprint))
            reader = ShardReader(self.path, str(fingerprint), self._rows[str(fingerprint)])
            ids = group["id"].to_list()
            for positions, stacks in reader.stacks(group["row"].to_list(), batch):
                yield Batch(structure, tuple(ids[position] for position in positions), stacks)

    def streams(
        self, select: str | Sequence[str] | None = None, batch: int = 64
    ) -> Iterator[tuple[str, EventStream]]:
        """Ids and event streams, one model after the other; arguments and errors as for :meth:`batches`."""
        for stacked in self.batches(select, batch):
            yield from zip(stacked.ids, stacked.streams(), strict=True)

    def stream(self, model: str) -> EventStream:
        """One model's event stream.

        Raises:
            ZooError: the zoo has no such model.
        """
        return next(stream for _, stream in self.streams([model]))

    def _chosen(self, select: str | Sequence[str] | None) -> pl.DataFrame:
        if select is None:
            return self.models
        if isinstance(select, str):
            self.structure(select)
            return self.models.filter(pl.col("fingerprint") == select)
        wanted = pl.DataFrame({"id": list(select)}, schema={"id": pl.String}).unique(maintain_order=True)
        found = wanted.join(self.models, on="id", how="inner", maintain_order="left")
        if len(found) < len(wanted):
            missing = wanted.join(found, on="id", how="anti")["id"].to_list()
            raise ZooError(f"{self.path} has no model {missing[0]!r}", remedy="see zoo.models for the ids")
        return found


def open_zoo(path: str | PathLike[str]) -> Zoo:
    """Open a zoo for reading; any number of processes may, also while one adds to it.

    Raises:
        ZooError: the folder is no zoo, or is damaged.
    """
    return Zoo(path)
