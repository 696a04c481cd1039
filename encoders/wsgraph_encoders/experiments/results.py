"""Results of a long experiment, kept run by run, so that it can be interrupted and gone on with."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Results", "told", "write_whole"]


class Results:
    """A JSON file with an experiment's settings and the results of its finished runs.

    Args:
        path: the file; one with the same settings is gone on with.
        settings: everything that a run's result depends on, besides the run's own name.

    Raises:
        EncoderError: the file cannot be read, or holds results of other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.runs: dict[str, Any] = _read(path, self.settings) if path.exists() else {}

    def start(self) -> None:
        """Note the settings, so that what an interrupted run leaves beside the file belongs to them.

        Raises:
            EncoderError: the file cannot be written.
        """
        self._write()

    def add(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep a finished run.

        Raises:
            EncoderError: the file cannot be written.
        """
        self.runs[name] = dict(result)
        self._write()

    def _write(self) -> None:
        write_whole(self.path, json.dumps({"settings": self.settings, "runs": self.runs}, indent=1) + "\n")


def _read(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        old, runs = found["settings"], found["runs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(
            f"cannot read earlier results from {path}: {type(error).__name__}: {error}",
            remedy="move the file away, or name another folder with --output",
        ) from error
    changed = sorted(key for key in {*old, *settings} if old.get(key) != settings.get(key))
    if changed or not isinstance(runs, dict):
        differences = ", ".join(f"{key} was {old.get(key)!r}, is {settings.get(key)!r}" for key in changed)
        raise EncoderError(
            f"{path} holds results of other settings: {differences}",
            remedy="name another folder with --output, or delete this one",
        )
    return runs


def told(progress: Callable[[str], object], about: str, text: str) -> None:
    """Pass a line on, with what it is about in front."""
    progress(f"{about}: {text}")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename it; folders are made.

    Raises:
        EncoderError: the file system refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        raise EncoderError(f"cannot write {path}: {error.strerror}", remedy="use another folder") from error
    finally:
        temporary.unlink(missing_ok=True)
