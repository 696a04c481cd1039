"""The file that a command writes."""

from __future__ import annotations

import os
from pathlib import Path

from wsgraph.errors import WsgraphError

__all__ = ["Target"]


class Target:
    """An output file, checked before the long work starts and written whole or not at all.

    Args:
        path: where to write.
        source: the file or folder that is read, which must not be overwritten.

    Raises:
        WsgraphError: the path is a directory, lies in none, or is the source itself.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        if path.is_dir() or not path.parent.is_dir():
            problem = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
            raise WsgraphError(f"cannot write {path}: {problem}", remedy="name a file with -o OUT")
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise WsgraphError(f"{path} is the model itself", remedy="name another file with -o OUT")

    def write_text(self, text: str) -> None:
        """Write to a temporary name beside the file, then rename.

        Raises:
            WsgraphError: the file system refuses.
        """
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            raise WsgraphError(
                f"cannot write {self.path}: {error.strerror}",
                remedy="choose a folder that is there, can be written to and has room",
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
