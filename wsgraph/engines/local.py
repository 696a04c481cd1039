"""The engine that everybody has: this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["LocalEngine"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalEngine:
    """Runs parts one after the other in this process."""

    def run(
        self,
        function: Callable[[Sequence[Item]], list[Result]],
        parts: Iterable[Sequence[Item]],
        lost: Callable[[Item], Result],  # noqa: ARG002  with this process, all is lost
    ) -> Iterator[list[Result]]:
        """See :class:`~wsgraph.engines.Engine`."""
        yield from map(function, parts)
