"""Encoding pieces: the part of the work that any process can do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from wsgraph.errors import WsgraphError
from wsgraph.zoo.reader import Zoo, open_zoo
from wsgraph_encoders.batch import collate
from wsgraph_encoders.encoding.pieces import PieceFile, model_bytes
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from wsgraph_encoders.encoding.choice import Embedder, EncoderChoice
    from wsgraph_encoders.encoding.pieces import Piece

__all__ = ["PieceEncoder", "PieceReport"]

_BATCH = 64
_BATCH_BYTES = 32 << 20
"""Limits of what is encoded together: many small networks, or one large one."""


@dataclass(frozen=True, slots=True)
class PieceReport:
    """What became of a piece.

    Attributes:
        encoded: number of models encoded.
        failed: reasons by id, of the models that could not be.
    """

    encoded: int
    failed: dict[str, str]


class PieceEncoder:
    """Encodes pieces and writes a file for each.

    In every process that it is sent to there is one for each encoding, which opens the zoo and loads the
    encoder once.

    Args:
        zoo: the zoo's folder.
        choice: the encoder.
        folder: where the pieces' files go.
    """

    def __init__(self, zoo: Path, choice: EncoderChoice, folder: Path) -> None:
        self.zoo, self.choice, self.folder = zoo, choice, folder
        self._token = uuid.uuid4().hex
        self._loading = Lock()
        self._loaded: tuple[Zoo, Embedder] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _piece_encoder, (self._token, self.zoo, self.choice, self.folder)

    def __call__(self, pieces: Sequence[Piece]) -> list[PieceReport]:
        """Encode some pieces.

        Raises:
            ZooError: the zoo cannot be opened, or a file not be written.
            EncoderError: the encoder cannot be loaded.
        """
        with self._loading:
            if self._loaded is None:
                self._loaded = open_zoo(self.zoo), self.choice.load().embedder
        return [self._encode(piece, *self._loaded) for piece in pieces]

    def _encode(self, piece: Piece, zoo: Zoo, embedder: Embedder) -> PieceReport:
        file = PieceFile(self.folder, piece)
        before = file.read()
        done = set() if before is None else set(before["id"])
        ids = [model for model in piece.ids if model not in done]
        try:
            found, failed = _embeddings(zoo, embedder, piece.fingerprint, ids), dict[str, str]()
        except Exception:  # noqa: BLE001  some model is at fault: each of them is tried by itself
            found, failed = _one_by_one(zoo, embedder, piece.fingerprint, ids)
        if found:
            digests = dict(zip(piece.ids, piece.digests, strict=True))
            table = pl.DataFrame({"id": list(found), "digest": [digests[model] for model in found]})
            embedding = pl.Series("embedding", torch.stack(list(found.values())).numpy())
            table = table.with_columns(embedding)
            file.write(table if before is None else pl.concat([before, table]))
        return PieceReport(len(found), failed)


@lru_cache(maxsize=1)
def _piece_encoder(token: str, zoo: Path, choice: EncoderChoice, folder: Path) -> PieceEncoder:
    """This process's own."""
    del token  # the cache's key
    return PieceEncoder(zoo, choice, folder)


def _one_by_one(
    zoo: Zoo, embedder: Embedder, fingerprint: str, ids: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Embeddings of the models that have one, reasons of the others."""
    found: dict[str, Tensor] = {}
    failed: dict[str, str] = {}
    for model in ids:
        try:
            found |= _embeddings(zoo, embedder, fingerprint, [model])
        except Exception as error:  # noqa: BLE001  weights of unknown origin fail in every way there is
            known = isinstance(error, WsgraphError)
            failed[model] = str(error) if known else f"{type(error).__name__}: {error}"
    return found, failed


def _embeddings(zoo: Zoo, embedder: Embedder, fingerprint: str, ids: Sequence[str]) -> dict[str, Tensor]:
    """Embeddings ``[features]`` by id, in float32.

    Raises:
        WsgraphError: a shard is damaged, a weight is not finite, the encoder is for other networks.
    """
    size = model_bytes(zoo.structure(fingerprint))
    found: dict[str, Tensor] = {}
    for stacked in zoo.batches(ids, max(1, min(_BATCH, _BATCH_BYTES // max(size, 1)))):
        with torch.no_grad():
            embedded = embedder.embed(collate(stacked.streams())).float()
        if not bool(embedded.isfinite().all()):
            raise EncoderError(
                "the embedding has elements that are NaN or infinite: the weights are too large"
            )
        found.update(zip(stacked.ids, embedded, strict=True))
    return found
