"""Reading the checkpoints of an import: the part of the work that any process can do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wsgraph.errors import WsgraphError, ZooError
from wsgraph.zoo.prepared import prepare
from wsgraph.zoo.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from wsgraph.options import CompileOptions
    from wsgraph.zoo.checkpoint import Checkpoint
    from wsgraph.zoo.prepared import PreparedModel
    from wsgraph.zoo.table import Label

__all__ = ["CheckpointReader", "ReadModel", "Unreadable", "parts_of"]

_PART_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A checkpoint that was read.

    Attributes:
        model: its structure and weights.
        labels: the format's labels and those that stand inside the checkpoint.
    """

    model: PreparedModel
    labels: Mapping[str, Label]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A checkpoint that was not.

    Attributes:
        reason: why.
    """

    reason: str


Read: TypeAlias = ReadModel | Unreadable


class CheckpointReader:
    """Reads checkpoints and finds their structures.

    In every process that it is sent to there is one reader of each import, so that a process traces an
    architecture once.

    Args:
        options: how to compile.
    """

    def __init__(self, options: CompileOptions | None = None) -> None:
        self._options = options
        self._token = uuid.uuid4().hex
        self._tracer = Tracer(options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reader, (self._token, self._options)

    def __call__(self, checkpoints: Sequence[Checkpoint]) -> list[Read]:
        """Read some checkpoints.

        Raises:
            ZooError: the source as a whole is damaged.
        """
        return [self._read(checkpoint) for checkpoint in checkpoints]

    def _read(self, checkpoint: Checkpoint) -> Read:
        try:
            weights = checkpoint.read()
            model = prepare(*self._tracer.structure(weights))
            return ReadModel(model, {**weights.labels, **checkpoint.labels})
        except ZooError:
            raise  # no checkpoint's fault
        except Exception as error:  # noqa: BLE001  files of unknown origin fail in every way there is
            known = isinstance(error, WsgraphError)
            return Unreadable(str(error) if known else f"{type(error).__name__}: {error}")


@lru_cache(maxsize=2)
def _reader(token: str, options: CompileOptions | None) -> CheckpointReader:
    """This process's reader of an import."""
    del token  # the cache's key
    return CheckpointReader(options)


def parts_of(checkpoints: Iterable[Checkpoint], most: int) -> Iterator[list[Checkpoint]]:
    """Checkpoints in parts of at most ``most``, each of files of about 32 MiB together.

    A file that holds many checkpoints counts once.
    """
    part: list[Checkpoint] = []
    size, counted = 0, Path()
    for checkpoint in checkpoints:
        part.append(checkpoint)
        if most > 1 and checkpoint.source != counted:
            size, counted = size + _size(checkpoint.source), checkpoint.source
        if len(part) >= most or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _size(source: Path) -> int:
    """Bytes of a file, or of the files that lie directly in a folder; 0 where it cannot be told."""
    try:
        files = source.iterdir() if source.is_dir() else iter([source])
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0
