"""Importing a zoo: from a folder of checkpoints in some layout to a zoo's folder."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from wsgraph.errors import WsgraphError, ZooError
from wsgraph.lowering.plugins import load_registry
from wsgraph.zoo.options import ImportOptions
from wsgraph.zoo.tracing import Tracer
from wsgraph.zoo.writer import ModelRecord, ZooWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from wsgraph.options import CompileOptions
    from wsgraph.zoo.checkpoint import Checkpoint, ZooFormat

__all__ = ["ImportReport", "import_zoo", "zoo_format", "zoo_formats"]


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        listed: checkpoints that the format found.
        imported: models added.
        present: models that were in the zoo already.
        failed: ids and reasons of those that could not be read.
        architectures: architectures traced.
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


def import_zoo(
    name: str,
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    options: ImportOptions | None = None,
    prefix: str = "",
    limit: int | None = None,
    compile_options: CompileOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
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
    tracer = Tracer(compile_options)
    origin = {"command": "import", "format": name, "source": str(root.resolve())}
    with ZooWriter(out, origin | {"settings": dict(options.settings), "prefix": prefix}) as writer:
        for checkpoint in chain([first], checkpoints):
            _import_one(prefix + checkpoint.id, checkpoint, prefix, tracer, writer, report)
            report.listed += 1
            if progress:
                progress(report.listed, None)
    report.architectures = len(tracer)
    return report


def _import_one(
    model: str, checkpoint: Checkpoint, prefix: str, tracer: Tracer, writer: ZooWriter, report: ImportReport
) -> None:
    source = str(checkpoint.source.absolute())
    if writer.source_of(model) == source:
        report.present += 1
        return
    try:
        weights = checkpoint.read()
        structure, tensors = tracer.structure(weights)
        run = prefix + (checkpoint.run or checkpoint.id)
        labels = {**weights.labels, **checkpoint.labels}
        writer.add(ModelRecord(model, source, run, checkpoint.split, labels), structure, tensors)
    except ZooError:
        raise  # the zoo itself cannot be written
    except Exception as error:  # noqa: BLE001  files of unknown origin fail in every way there is
        known = isinstance(error, WsgraphError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        report.failed[model] = reason
        writer.fail(model, source, reason)
    else:
        report.imported += 1
