"""Adding models to a zoo: in commits, each of them whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from wsgraph.errors import CheckpointError, ZooError
from wsgraph.events.save import save_stream
from wsgraph.zoo.layout import (
    create_zoo,
    failures_path,
    lock_zoo,
    models_path,
    read_manifest,
    shard_path,
    structure_path,
    write_manifest,
)
from wsgraph.zoo.prepared import prepare
from wsgraph.zoo.shards import write_shard
from wsgraph.zoo.table import FAILURES, MODELS, Label, append_rows, read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from types import TracebackType

    from torch import Tensor

    from wsgraph.events.structure import Structure
    from wsgraph.zoo.prepared import PreparedModel

__all__ = ["ModelRecord", "ZooWriter"]

_COMMIT_MODELS = 256
_COMMIT_BYTES = 64 << 20
# Both limits depend on what is added only, never on time: an import that was killed and resumed makes the
# same shards as one that was not.


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What the table says about a model.

    Attributes:
        id: its name, unique in the zoo.
        source: the file or folder that it came from.
        run: the training that it is a checkpoint of; models of one run stay on one side of a split.
        split: ``train``, ``val``, ``test``, or None.
        labels: further columns.
    """

    id: str
    source: str
    run: str | None = None
    split: str | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)


class ZooWriter:
    """Adds models to a zoo; a context manager that holds the zoo's lock.

    Models become part of the zoo in commits, each after 256 models or 64 MiB of weights and one at the end.
    A killed process loses what it had not committed, and nothing else.

    Args:
        path: the zoo's folder; made if there is none.
        origin: what is being imported or trained, for the zoo's history.

    Raises:
        ZooError: the folder is something else, cannot be written, or another process is writing to it.
    """

    def __init__(self, path: str | PathLike[str], origin: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._origin = dict(origin or {})
        self._stack = ExitStack()
        self._pending: dict[tuple[str, str], list[dict[str, Tensor]]] = {}
        self._rows: dict[tuple[str, str], list[dict[str, Label]]] = {}
        self._failed: dict[str, dict[str, Label]] = {}
        self._count = self._bytes = 0

    def __enter__(self) -> Self:
        create_zoo(self.path)
        self._stack.enter_context(lock_zoo(self.path))
        self._models = read_table(models_path(self.path), MODELS)
        self._sources: dict[str, str] = dict(self._models.select("id", "source").iter_rows())
        counts = self._models.group_by("fingerprint").len()
        self._next_row: dict[str, int] = dict(counts.iter_rows())
        if self._origin:
            manifest = read_manifest(self.path)
            if self._origin not in manifest["history"]:
                manifest["history"].append(self._origin)
                write_manifest(self.path, manifest)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None or not issubclass(kind, ZooError):
                self.commit()
        finally:
            self._stack.close()

    def __len__(self) -> int:
        return len(self._sources)

    def source_of(self, model: str) -> str | None:
        """Where the model of an id came from; None where the zoo has no such model."""
        return self._sources.get(model)

    def add(self, record: ModelRecord, structure: Structure, weights: Mapping[str, Tensor]) -> None:
        """Add a model; it is written with the next commit.

        Raises:
            CheckpointError: the id is taken, or the weights do not fit the structure.
            ZooError: the commit fails.
        """
        self.add_prepared(record, prepare(structure, weights))

    def add_prepared(self, record: ModelRecord, model: PreparedModel) -> None:
        """Add a model whose weights have been looked at, perhaps by another process.

        Raises:
            CheckpointError: the id is taken.
            ZooError: the commit fails.
        """
        if record.id in self._sources:
            raise CheckpointError(
                f"the zoo has a model {record.id!r} already, from {self._sources[record.id]}",
                remedy="give the new models other names: --prefix NAME",
            )
        structure, stored = model.structure, model.tensors
        path = structure_path(self.path, structure.fingerprint)
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            save_stream(path, structure, None)
        key = (structure.fingerprint, " ".join(str(tensor.dtype) for tensor in stored.values()))
        row: dict[str, Label] = {
            "id": record.id,
            "fingerprint": structure.fingerprint,
            "run": record.run,
            "split": record.split,
            "source": record.source,
            "digest": model.digest,
        }
        row |= {name if name not in MODELS else f"label.{name}": v for name, v in record.labels.items()}
        self._pending.setdefault(key, []).append(dict(stored))
        self._rows.setdefault(key, []).append(row)
        self._sources[record.id] = record.source
        self._failed.pop(record.id, None)
        self._count += 1
        self._bytes += sum(tensor.nbytes for tensor in stored.values())
        if self._count >= _COMMIT_MODELS or self._bytes >= _COMMIT_BYTES:
            self.commit()

    def fail(self, model: str, source: str, reason: str) -> None:
        """Note that a model could not be read."""
        self._failed[model] = {"id": model, "source": source, "reason": reason}

    def commit(self) -> None:
        """Write what was added: shards, then the failures, then the table of models, which makes it count.

        Raises:
            ZooError: the file system refuses.
        """
        self._commit_failures()
        if not self._count:
            return
        table = self._models
        for key, models in self._pending.items():
            fingerprint = key[0]
            first = self._next_row.get(fingerprint, 0)
            write_shard(shard_path(self.path, fingerprint, first), models)
            rows = [row | {"row": first + i} for i, row in enumerate(self._rows[key])]
            table = append_rows(table, rows, MODELS)
            self._next_row[fingerprint] = first + len(models)
        write_table(models_path(self.path), table)
        self._models = table
        self._pending, self._rows = {}, {}
        self._count = self._bytes = 0

    def _commit_failures(self) -> None:
        before = read_table(failures_path(self.path), FAILURES)
        settled = pl.Series([*self._failed, *self._sources], dtype=pl.String)
        kept = before.filter(~pl.col("id").is_in(settled.implode()))
        after = append_rows(kept, list(self._failed.values()), FAILURES).sort("id")
        if not after.equals(before):
            write_table(failures_path(self.path), after)
