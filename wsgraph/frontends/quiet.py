"""What torch says about a failing trace, cut down to what a user needs: one line."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["first_line", "quiet_torch"]


def first_line(error: Exception, length: int = 300) -> str:
    """An error's type and the first line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    return f"{name}: {lines[0][:length]}" if lines else name


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
    """Context in which logs, and torch's dumps of unfinished graphs on standard error, are dropped.

    Whatever fails inside still raises; only the accompanying text is lost. Logging is switched off as a
    whole: torch installs its handlers, logger by logger, while it is tracing.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
