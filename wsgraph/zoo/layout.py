"""What a zoo's folder holds, and how its files are replaced (DESIGN section 9).

    zoo.json                                 format, version, and what was imported or trained
    models.parquet                           a row a model; a model is in the zoo once its row is
    failures.parquet                         what could not be read, with the reason
    structures/<fingerprint>.wsg             a structure an architecture, a ``.wsg`` file without weights
    weights/<fingerprint>/<first row>.safetensors   weights of consecutive rows, stacked ``[n, *shape]``

Shards are never changed once their rows are in the table. A shard is named by its first row, so one that a
killed writer left behind has the name that the next writer's shard will have, and is replaced by it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from wsgraph.errors import ZooError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "create_zoo",
    "failures_path",
    "lock_zoo",
    "models_path",
    "read_manifest",
    "replacing",
    "shard_path",
    "structure_path",
    "write_manifest",
]

FORMAT = "wsgraph-zoo"
VERSION = 1


def models_path(zoo: Path) -> Path:
    """The table of models."""
    return zoo / "models.parquet"


def failures_path(zoo: Path) -> Path:
    """The table of what could not be read."""
    return zoo / "failures.parquet"


def structure_path(zoo: Path, fingerprint: str) -> Path:
    """The structure of one architecture."""
    return zoo / "structures" / f"{fingerprint}.wsg"


def shard_path(zoo: Path, fingerprint: str, first_row: int) -> Path:
    """The shard that starts with row ``first_row`` of an architecture."""
    return zoo / "weights" / fingerprint / f"{first_row:09d}.safetensors"


def create_zoo(zoo: Path) -> None:
    """Make an empty zoo, unless there is one.

    Raises:
        ZooError: the folder cannot be made, or holds something else.
    """
    if (zoo / "zoo.json").is_file():
        read_manifest(zoo)
        return
    if zoo.exists() and (not zoo.is_dir() or any(not p.name.startswith(".") for p in zoo.iterdir())):
        raise ZooError(
            f"{zoo} is there and is no zoo", remedy="name a new or empty folder, or a zoo to add to"
        )
    try:
        zoo.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZooError(f"cannot make the folder {zoo}: {error.strerror}") from error
    write_manifest(zoo, {"format": FORMAT, "version": VERSION, "history": []})


def read_manifest(zoo: Path) -> dict[str, Any]:
    """The contents of ``zoo.json``.

    Raises:
        ZooError: there is none, it is damaged, or of another version.
    """
    path = zoo / "zoo.json"
    if not path.is_file():
        raise ZooError(
            f"{zoo} is no zoo: it has no zoo.json", remedy="make one: wsgraph zoo import FORMAT SRC -o ZOO"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ZooError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ZooError(f"{path} does not describe a zoo: its format is not {FORMAT!r}")
    if manifest.get("version") != VERSION:
        raise ZooError(
            f"{path} has version {manifest.get('version')!r}, this wsgraph reads version {VERSION}",
            remedy="install a newer wsgraph",
        )
    if not isinstance(manifest.get("history"), list):
        raise ZooError(f"{path} is damaged: it has no list 'history'")
    return manifest


def write_manifest(zoo: Path, manifest: dict[str, Any]) -> None:
    """Replace ``zoo.json``."""
    with replacing(zoo / "zoo.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, renamed to it when the block ends without an exception.

    Raises:
        ZooError: the file system refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise ZooError(
            f"cannot write {path}: {error.strerror or error}",
            remedy="choose a folder that can be written to and has room",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def lock_zoo(zoo: Path) -> Iterator[None]:
    """Keep other writers out; the lock ends with the process, however it ends. Readers need none.

    Raises:
        ZooError: another process is writing to the zoo.
    """
    with (zoo / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ZooError(
                f"another process is writing to {zoo}", remedy="wait for it to end, then run this again"
            ) from error
        _sweep(zoo)
        yield


def _sweep(zoo: Path) -> None:
    """Remove temporary files that killed writers left; nobody else writes while the lock is held."""
    for folder in (zoo, zoo / "structures", *(zoo / "weights").glob("*")):
        # Ours, and those that safetensors in turn writes a file under.
        for leftover in (*folder.glob(".*.tmp"), *folder.glob(".tmp??????")):
            leftover.unlink(missing_ok=True)
