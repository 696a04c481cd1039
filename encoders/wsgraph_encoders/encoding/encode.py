"""From a zoo to one table of embeddings, piece by piece: memory is bounded, nothing is done twice."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wsgraph.engines import engine_of
from wsgraph.errors import ZooError
from wsgraph.zoo.layout import lock_zoo
from wsgraph.zoo.reader import open_zoo
from wsgraph_encoders.encoding.output import take_over, write_output
from wsgraph_encoders.encoding.piece_encoder import PieceEncoder, PieceReport
from wsgraph_encoders.encoding.pieces import Piece, PieceFile, grouped, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from wsgraph.engines import EngineName
    from wsgraph.zoo.reader import Zoo
    from wsgraph_encoders.encoding.choice import EncoderChoice

__all__ = ["EncodeReport", "encode_zoo"]

_DEATH = "the process that encoded it died, each time that it was tried"


@dataclass(slots=True)
class EncodeReport:
    """What an encoding did.

    Attributes:
        models: models of the zoo.
        encoded: embeddings made.
        present: embeddings that were there already, from an earlier run of the same encoder.
        failed: reasons by id, of the models that are not in the table.
    """

    models: int
    encoded: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def encode_zoo(
    zoo: str | PathLike[str],
    choice: EncoderChoice,
    out: str | PathLike[str],
    *,
    engine: EngineName = "local",
    progress: Callable[[int, int], None] | None = None,
) -> EncodeReport:
    """Write the embeddings of a zoo's models.

    The table has the columns id, fingerprint, run, split, digest, embedding and the zoo's labels, in the
    order of architectures and rows. While it is made, ``<out>.pieces`` holds what is done; a killed encoding
    goes on there, and a zoo that has grown since costs its new models only.

    Args:
        zoo: the zoo's folder.
        choice: the encoder.
        out: the table, a Parquet file.
        engine: where to encode; with ``ray``, zoo and table are at paths that all machines share.
        progress: called with the number of models done and to do.

    Raises:
        ZooError: the zoo is empty or damaged as a whole, or a file cannot be written;
            another process is writing the table.
        EncoderError: the encoder cannot be loaded, or its embeddings differ in width.
    """
    opened, path = open_zoo(zoo), Path(out).absolute()
    if not len(opened):
        raise ZooError(f"{opened.path} has no models to encode")
    digest, pieces = choice.load().digest, pieces_of(opened)
    with _workspace(path) as workspace:
        folder = workspace / digest
        take_over(path, digest, pieces, folder)
        report = _encode(
            opened, pieces, PieceEncoder(opened.path.absolute(), choice, folder), engine, progress
        )
        if report.present + report.encoded:
            files = [PieceFile(folder, piece).path for piece in pieces]
            write_output(path, files, opened.models, digest)
        shutil.rmtree(workspace, ignore_errors=True)
    return report


@contextmanager
def _workspace(path: Path) -> Iterator[Path]:
    """The folder of a table's pieces, for this process alone.

    Raises:
        ZooError: it cannot be made, or another process is writing the table.
    """
    workspace = path.with_name(f"{path.name}.pieces")
    try:
        workspace.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZooError(f"cannot make the folder {workspace}: {error.strerror}") from error
    with lock_zoo(workspace):
        yield workspace


def _encode(
    zoo: Zoo,
    pieces: list[Piece],
    function: PieceEncoder,
    engine: EngineName,
    progress: Callable[[int, int], None] | None,
) -> EncodeReport:
    """Encode what the pieces' files lack."""
    counts = [PieceFile(function.folder, piece).count() for piece in pieces]
    report = EncodeReport(len(zoo), present=sum(counts))
    waiting = [piece for piece, count in zip(pieces, counts, strict=True) if count < len(piece.ids)]
    parts = [[piece] for piece in waiting] if engine == "local" else list(grouped(waiting))
    with _plain_operators() as threads:
        for results in engine_of(engine, threads).run(function, parts, _lost):
            for result in results:
                report.encoded += result.encoded
                report.failed |= result.failed
            if progress:
                progress(report.present + report.encoded + len(report.failed), report.models)
    return report


@contextmanager
def _plain_operators() -> Iterator[int]:
    """Run each of torch's operators on one thread; gives how many threads there were, for pieces instead.

    Operators on small networks are too short to share, and on a busy machine their threads wait for each
    other (docs/zoos.md has a figure). With one thread, results do not depend on their number.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _lost(piece: Piece) -> PieceReport:
    return PieceReport(0, dict.fromkeys(piece.ids, _DEATH))
