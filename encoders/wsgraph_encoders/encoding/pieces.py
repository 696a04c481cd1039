"""A piece of an encoding: consecutive rows of one architecture, in one file once they are encoded."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from wsgraph.errors import WsgraphError
from wsgraph.zoo.layout import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from wsgraph.events.structure import Structure
    from wsgraph.zoo.reader import Zoo

__all__ = ["COLUMNS", "Piece", "PieceFile", "grouped", "model_bytes", "pieces_of"]

COLUMNS = ("id", "digest", "embedding")
"""Of a piece's file."""

_MODELS = 256
_BYTES = 256 << 20
"""Limits of a piece. They depend on the architecture only: pieces stay what they are when a zoo grows."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of one architecture.

    Attributes:
        fingerprint: the architecture.
        start: first row.
        ids: ids of its models, in the order of their rows.
        digests: hashes of their weights.
    """

    fingerprint: str
    start: int
    ids: tuple[str, ...]
    digests: tuple[str, ...]


class PieceFile:
    """The file of a piece: columns id, digest and embedding, in the order of the piece's models.

    Models that could not be encoded are missing; the next run tries them again. The same models under the
    same names have the same file's name.

    Args:
        folder: where it is or will be.
        piece: the piece.
    """

    def __init__(self, folder: Path, piece: Piece) -> None:
        self.piece = piece
        content = hashlib.blake2b(repr((piece.ids, piece.digests)).encode(), digest_size=8).hexdigest()
        self.path = folder / f"{piece.fingerprint[:16]}-{piece.start:09d}-{content}.parquet"

    def count(self) -> int:
        """How many of the models it has."""
        table = self.read()
        return 0 if table is None else len(table)

    def read(self) -> pl.DataFrame | None:
        """Its table; None where there is none that can be read."""
        if not self.path.is_file():
            return None
        try:
            table = pl.read_parquet(self.path, memory_map=False)
        except (pl.exceptions.PolarsError, OSError):
            return None
        return table if table.columns == list(COLUMNS) else None

    def write(self, table: pl.DataFrame) -> None:
        """Replace it, whole or not at all.

        Raises:
            ZooError: the file system refuses.
        """
        order = pl.DataFrame({"id": self.piece.ids}, schema={"id": pl.String})
        with replacing(self.path) as temporary:
            order.join(table.select(COLUMNS), on="id", maintain_order="left").write_parquet(temporary)


def pieces_of(zoo: Zoo) -> list[Piece]:
    """The pieces of a zoo, architecture by architecture; models that are added later make further ones."""
    pieces = []
    for (fingerprint,), group in zoo.models.group_by(["fingerprint"], maintain_order=True):
        models = group.sort("row")
        most = _most_models(zoo, str(fingerprint))
        for start in range(0, len(models), most):
            own = models[start : start + most]
            pieces.append(Piece(str(fingerprint), start, tuple(own["id"]), tuple(own["digest"])))
    return pieces


def grouped(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces in groups of about 256 models: zoos of many architectures have tiny ones."""
    group: list[Piece] = []
    for piece in pieces:
        group.append(piece)
        if sum(len(member.ids) for member in group) >= _MODELS:
            yield group
            group = []
    if group:
        yield group


def model_bytes(structure: Structure) -> int:
    """Bytes of one model's weights in float32, tied tensors once."""
    return 4 * sum(math.prod(s.shape) for s in structure.tensors.values() if s.tied_to is None)


def _most_models(zoo: Zoo, fingerprint: str) -> int:
    try:
        size = model_bytes(zoo.structure(fingerprint))
    except WsgraphError:  # a damaged structure: its models are reported when they are encoded
        return _MODELS
    return max(1, min(_MODELS, _BYTES // max(size, 1)))
