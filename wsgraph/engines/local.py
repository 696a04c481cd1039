"""The engine that everybody has: this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["LocalEngine"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalEngine:
    """Runs parts in this process, one after the other or on a few threads.

    Args:
        threads: how many; with more than one, ``function`` is called by several of them, and all parts are
            listed at once.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def run(
        self,
        function: Callable[[Sequence[Item]], list[Result]],
        parts: Iterable[Sequence[Item]],
        lost: Callable[[Item], Result],  # noqa: ARG002  with this process, all is lost
    ) -> Iterator[list[Result]]:
        """See :class:`~wsgraph.engines.Engine`."""
        if self._threads == 1:
            yield from map(function, parts)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            waiting = [pool.submit(function, part) for part in parts]
            try:
                yield from (future.result() for future in waiting)
            finally:
                for future in waiting:
                    future.cancel()
