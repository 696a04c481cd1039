"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress"]

_SECONDS = 10.0


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Gives a function that takes what is done and, where known, what is to do; it writes to standard error.

    Args:
        what: what is being done, such as ``importing``.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Callable[[int, int | None], None]:
    started = last = time.monotonic()

    def show(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS:
            last = now
            of = "" if total is None else f" of {total:,}"
            sys.stderr.write(f"{what}: {done:,}{of}, {now - started:.0f} s\n")
            sys.stderr.flush()

    return show
