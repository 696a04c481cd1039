"""The table of embeddings: written from the pieces' files, and taken apart again when a zoo has grown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from wsgraph.zoo.layout import replacing
from wsgraph_encoders.encoding.pieces import COLUMNS, PieceFile
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsgraph_encoders.encoding.pieces import Piece

__all__ = ["ENCODER_KEY", "take_over", "write_output"]

ENCODER_KEY = "wsgraph.encoder"
"""The metadata key under which the table has the encoder's hash."""

_FIRST = ("id", "fingerprint", "run", "split", "digest", "embedding")
_LEFT_OUT = ("row", "source")
_ROW_GROUP = 4096


def write_output(path: Path, files: Sequence[Path], models: pl.DataFrame, digest: str) -> None:
    """Write the table of embeddings, whole or not at all; memory does not depend on its length.

    Args:
        path: the table.
        files: the pieces' files; those that do not exist are left out.
        models: the zoo's models, whose labels become columns.
        digest: the encoder's hash.

    Raises:
        EncoderError: embeddings differ in width.
        ZooError: the file system refuses.
    """
    labels = models.drop(*_LEFT_OUT, "digest")
    labels = labels.rename({name: f"label.{name}" for name in labels.columns if name == "embedding"})
    pieces = pl.scan_parquet([file for file in files if file.is_file()])
    table = pieces.join(labels.lazy(), on="id", how="left", maintain_order="left")
    rest = [name for name in labels.columns if name not in _FIRST]
    with replacing(path) as temporary:
        try:
            table.select(*_FIRST, *rest).sink_parquet(
                temporary, row_group_size=_ROW_GROUP, metadata={ENCODER_KEY: digest}
            )
        except (pl.exceptions.SchemaError, pl.exceptions.ShapeError) as error:
            raise EncoderError(
                f"the embeddings of this zoo's architectures differ in width: {error}",
                remedy="use an encoder with per_kind parameters",
            ) from error


def take_over(path: Path, digest: str, pieces: Sequence[Piece], folder: Path) -> None:
    """Make the pieces' files from an earlier table of the same encoder, as far as it has their models.

    Args:
        path: the table; nothing happens where there is none of this encoder.
        digest: the encoder's hash.
        pieces: what the zoo consists of now.
        folder: where the pieces' files go; those that exist are left alone.

    Raises:
        ZooError: a file cannot be written.
    """
    if not _is_ours(path, digest):
        return
    table = pl.scan_parquet(path).select(COLUMNS)
    known = table.select("id").collect()["id"]
    place = dict(zip(known, range(len(known)), strict=True))
    for piece in pieces:
        file = PieceFile(folder, piece)
        places = [place[model] for model in piece.ids if model in place]
        if places and not file.path.exists():
            first, last = min(places), max(places)  # one range: a table has the order of its zoo
            rows = table.slice(first, last - first + 1).collect()
            wanted = pl.DataFrame({"id": piece.ids, "digest": piece.digests})
            if len(rows := rows.join(wanted, on=["id", "digest"], how="semi")):
                file.write(rows)


def _is_ours(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    try:
        return pl.read_parquet_metadata(path).get(ENCODER_KEY) == digest
    except (pl.exceptions.PolarsError, OSError):
        return False
