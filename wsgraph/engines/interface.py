"""What an engine does, and choosing one by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Engine", "EngineName", "engine_of"]

EngineName: TypeAlias = Literal["local", "ray"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs a function over parts of a long list, each part apart from the others."""

    def run(
        self,
        function: Callable[[Sequence[Item]], list[Result]],
        parts: Iterable[Sequence[Item]],
        lost: Callable[[Item], Result],
    ) -> Iterator[list[Result]]:
        """The results of each part, in the order of the parts; parts are taken as they are needed.

        Args:
            function: from a part's items to as many results. Where other processes run it, it and the items
                are pickled, and it may be run again for a part whose process died.
            parts: items by part; none empty.
            lost: the result for an item whose process dies each time it is run.

        Raises:
            Exception: whatever ``function`` raises.
        """
        ...


def engine_of(name: EngineName, threads: int = 1) -> Engine:
    """The engine of a name.

    Args:
        name: the engine.
        threads: of the local one.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    if name == "local":
        from wsgraph.engines.local import LocalEngine

        return LocalEngine(threads)
    from wsgraph.engines.ray import RayEngine

    return RayEngine()
