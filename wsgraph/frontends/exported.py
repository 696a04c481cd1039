"""Reads ``.pt2`` archives of ``torch.export`` without running code from them.

``torch.export.load`` itself is not safe: it falls back to unrestricted unpickling, loads compiled
libraries, and lets sympy evaluate symbolic sizes as Python. So the archive is checked first, by the same
reader that loads it, and everything is refused that is not known to be plain data.
"""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import torch
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

from wsgraph.errors import CheckpointError, UnsafeCheckpointError, WsgraphError
from wsgraph.frontends.exported_json import check_program
from wsgraph.frontends.quiet import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from torch.export import ExportedProgram

__all__ = ["load_exported"]

_REMEDY = "export the model again with torch.export.save, with plain tensors as inputs and constants"
_RECORDS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/\w+|extra/[\w./-]+|models/[\w.-]+\.json"
    r"|data/(weights|constants)/(weight_\d+|tensor_\d+|[\w.-]+_config\.json)|data/sample_inputs/[\w.-]+\.pt"
)


def load_exported(path: Path) -> ExportedProgram:
    """Load the program of a ``.pt2`` archive.

    Raises:
        UnsafeCheckpointError: if the archive holds anything that loading could execute.
        CheckpointError: if it is damaged, or does not hold exactly one program.
    """
    try:
        with path.open("rb") as file:
            _check(PT2ArchiveReader(file), path.name)
            file.seek(0)
            programs = load_pt2(file).exported_programs
    except WsgraphError:
        raise
    except Exception as error:  # a damaged archive fails in every way there is
        raise CheckpointError(
            f"{path.name} cannot be read as a torch.export archive ({first_line(error, 120)})",
            remedy="check that the file is complete, and that no newer torch than this one saved it",
        ) from error
    if len(programs) != 1:
        raise CheckpointError(f"{path.name} holds {len(programs)} programs, expected 1", remedy=_REMEDY)
    program: ExportedProgram = next(iter(programs.values()))
    # Guards are Python text that ExportedProgram.module() executes; the structure does not need them.
    program._guards_code = []  # noqa: SLF001  there is no public way to drop them
    return program


def _check(archive: PT2ArchiveReader, where: str) -> None:
    """Refuse every record of the archive that loading could execute."""
    for name in archive.get_file_names():
        if not _RECORDS.fullmatch(name):
            raise UnsafeCheckpointError(
                f"{where} holds {name}, which is no tensor and no graph", remedy=_REMEDY
            )
        if name.startswith("models/"):
            check_program(json.loads(archive.read_bytes(name)), where, _REMEDY)
        elif name.endswith("_config.json"):
            folder = name.rpartition("/")[0]
            for entry in json.loads(archive.read_bytes(name))["config"].values():
                if entry.get("use_pickle"):
                    _check_pickle(archive, f"{folder}/{entry['path_name']}", where)
        elif name.startswith("data/sample_inputs/"):
            _check_pickle(archive, name, where)


def _check_pickle(archive: PT2ArchiveReader, name: str, where: str) -> None:
    """Load the record with restrictions; torch would fall back to none where that fails."""
    try:
        torch.load(io.BytesIO(archive.read_bytes(name)), weights_only=True, map_location="meta")
    except Exception as error:  # a pickle can fail in every way there is
        raise UnsafeCheckpointError(
            f"{where} holds {name}, a pickle of more than tensors", remedy=_REMEDY
        ) from error
