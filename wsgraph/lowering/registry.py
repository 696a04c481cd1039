"""What the plugins have registered, by family, each with its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wsgraph.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wsgraph.ir.graph import Op
    from wsgraph.lowering.hookspecs import Frontend, Lowering, Rewrite

__all__ = ["Entry", "Registry", "Table"]

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Entry(Generic[F]):
    """One thing that a plugin registered.

    Attributes:
        key: the operator's canonical name, or the name of the rewrite, frontend or zoo format.
        function: what was registered.
        owner: the plugin's name.
    """

    key: str
    function: F
    owner: str


class Table(Generic[F]):
    """One family of registrations, in the order they were made.

    Args:
        family: what an entry is called in messages: ``lowering``, ``rewrite``, ...
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._entries: dict[str, Entry[F]] = {}

    def __iter__(self) -> Iterator[Entry[F]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry[F] | None:
        """The entry under ``key``, or None."""
        return self._entries.get(key)

    def owned_by(self, owner: str) -> tuple[str, ...]:
        """Keys that a plugin registered."""
        return tuple(entry.key for entry in self if entry.owner == owner)

    def add(self, key: str, function: F, owner: str) -> None:
        """Register ``function`` under ``key`` for the plugin called ``owner``.

        Raises:
            PluginError: the key is taken, or the function cannot be called.
        """
        if not callable(function):
            raise PluginError(
                f"plugin {owner} registers the {self.family} {key!r} as {function!r}, which is not callable",
                remedy=f"register a function: register({key!r}, function)",
            )
        taken = self._entries.get(key)
        if taken is not None:
            raise PluginError(
                f"the {self.family} {key!r} is registered twice: by {taken.owner} and by {owner}",
                remedy=f"switch one of them off: WSGRAPH_DISABLE_PLUGINS={owner}",
            )
        self._entries[key] = Entry(key, function, owner)


class Registry:
    """Everything that the compiler takes from plugins."""

    def __init__(self) -> None:
        self.lowerings: Table[Lowering] = Table("lowering")
        self.rewrites: Table[Rewrite] = Table("rewrite")
        self.frontends: Table[Frontend] = Table("frontend")
        self.zoo_formats: Table[Callable[..., Any]] = Table("zoo format")

    @property
    def tables(self) -> tuple[Table[Any], ...]:
        """All families."""
        return (self.lowerings, self.rewrites, self.frontends, self.zoo_formats)

    def lowering_for(self, op: Op) -> Lowering | None:
        """What lowers an operator, by its name or as one of all pointwise ones; None when no plugin does."""
        import torch  # here, because the registry is loaded for ``--help`` too

        entry = self.lowerings.get(op.key)
        if entry is None and torch.Tag.pointwise in getattr(op.target, "tags", ()):
            entry = self.lowerings.get("pointwise")
        return None if entry is None else entry.function
