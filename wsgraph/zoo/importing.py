"""Importing a zoo: from a folder of checkpoints in some layout to a zoo's folder."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from wsgraph.engines import engine_of
from wsgraph.errors import CheckpointError, ZooError
from wsgraph.lowering.plugins import load_registry
from wsgraph.zoo.import_parts import CheckpointReader, ReadModel, Unreadable, parts_of
from wsgraph.zoo.options import ImportOptions
from wsgraph.zoo.writer import ModelRecord, ZooWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from os import PathLike

    from wsgraph.engines import EngineName
    from wsgraph.options import CompileOptions
    from wsgraph.zoo.checkpoint import Checkpoint, ZooFormat

__all__ = ["ImportReport", "import_zoo", "zoo_format", "zoo_formats"]

_PART = 32
_DEATH = "the process that read it died, each time that it was tried"


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        listed: checkpoints that the format found.
        imported: models added.
        present: models that were in the zoo already.
        failed: ids and reasons of those that could not be read.
        architectures: architectures of the models added.
    """

    listed: int
    imported: int
    present: int
    failed: dict[str, str]
    architectures: int


def zoo_formats() -> tuple[str, ...]:
    """Names of the formats that plugins have registered, the built-in ones first."""
    return tuple(entry.key for entry in load_registry().zoo_formats)


def zoo_format(name: str) -> ZooFormat:
    """The format of a name.

    Raises:
        ZooError: no plugin registers it.
    """
    entry = load_registry().zoo_formats.get(name)
    if entry is None:
        raise ZooError(f"there is no zoo format {name!r}", remedy=f"choose one of {', '.join(zoo_formats())}")
    return entry.function


def import_zoo(  # noqa: PLR0913  most are keywords with defaults
    name: str,
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    options: ImportOptions | None = None,
    prefix: str = "",
    limit: int | None = None,
    compile_options: CompileOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    engine: EngineName = "local",
) -> ImportReport:
    """Add the models of a folder to a zoo.

    Models that the zoo has already are left alone, so that a killed import goes on where it was. A
    checkpoint that cannot be read is noted in the zoo's table of failures and tried again by the next
    import.

    Args:
        name: the layout, one of :func:`zoo_formats`.
        source: the folder to import.
        out: the zoo; made if there is none.
        options: for the format.
        prefix: put before every id and run, so that several imports of like names fit one zoo.
        limit: import the first so many checkpoints only.
        compile_options: how to compile each architecture.
        progress: called with the number of checkpoints done; how many there are is known at the end only.
        engine: ``ray`` reads and traces on a Ray cluster; the zoo is the same, byte for byte.

    Raises:
        ZooError: the format is unknown, the source is of another layout, or the zoo cannot be written.
    """
    root, options = Path(source), options or ImportOptions()
    list_checkpoints = zoo_format(name)
    if not root.exists():
        raise ZooError(f"there is no folder {root}", remedy="check the path")
    # Listed as they are imported, for a zoo may have hundreds of thousands; the first one is looked for
    # before anything is written, so that a mistaken format leaves no empty zoo behind.
    checkpoints = islice(list_checkpoints(root, options), limit)
    first = next(checkpoints, None)
    if first is None:
        raise ZooError(f"{root} holds no checkpoints in the layout {name!r}", remedy="check format and path")
    report = ImportReport(0, 0, 0, {}, 0)
    origin = {"command": "import", "format": name, "source": str(root.resolve())}
    with ZooWriter(out, origin | {"settings": dict(options.settings), "prefix": prefix}) as writer:
        importer = _Importer(writer, prefix, report, progress)
        new = importer.new(chain([first], checkpoints))
        chosen = engine_of(engine)
        parts = parts_of(new, 1 if engine == "local" else _PART)
        reader = CheckpointReader(compile_options)
        for results in chosen.run(reader, parts, lambda _: Unreadable(_DEATH)):
            importer.add(results)
    return report


class _Importer:
    """Adds what is read to a zoo, in the order of the checkpoints."""

    def __init__(
        self,
        writer: ZooWriter,
        prefix: str,
        report: ImportReport,
        progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self._writer = writer
        self._prefix = prefix
        self._report = report
        self._progress = progress
        self._being_read: deque[Checkpoint] = deque()
        self._architectures: set[str] = set()

    def new(self, checkpoints: Iterable[Checkpoint]) -> Iterator[Checkpoint]:
        """Those that the zoo does not have yet; the results of :meth:`add` have their order."""
        for checkpoint in checkpoints:
            if self._is_present(checkpoint):
                self._count_present()
            else:
                self._being_read.append(checkpoint)
                yield checkpoint

    def add(self, results: Sequence[ReadModel | Unreadable]) -> None:
        """Add models, note failures."""
        for result in results:
            checkpoint = self._being_read.popleft()
            if self._is_present(checkpoint):  # listed twice
                self._count_present()
                continue
            reason = result.reason if isinstance(result, Unreadable) else self._added(checkpoint, result)
            if reason is None:
                self._report.imported += 1
            else:
                model = self._prefix + checkpoint.id
                self._report.failed[model] = reason
                self._writer.fail(model, _source(checkpoint), reason)
            self._listed()

    def _added(self, checkpoint: Checkpoint, read: ReadModel) -> str | None:
        """Why a model could not be added; None where it was."""
        run = self._prefix + (checkpoint.run or checkpoint.id)
        model = self._prefix + checkpoint.id
        record = ModelRecord(model, _source(checkpoint), run, checkpoint.split, read.labels)
        try:
            self._writer.add_prepared(record, read.model)
        except CheckpointError as error:
            return str(error)
        self._architectures.add(read.model.structure.fingerprint)
        self._report.architectures = len(self._architectures)
        return None

    def _is_present(self, checkpoint: Checkpoint) -> bool:
        return self._writer.source_of(self._prefix + checkpoint.id) == _source(checkpoint)

    def _count_present(self) -> None:
        self._report.present += 1
        self._listed()

    def _listed(self) -> None:
        self._report.listed += 1
        if self._progress:
            self._progress(self._report.listed, None)


def _source(checkpoint: Checkpoint) -> str:
    return str(checkpoint.source.absolute())
