"""Finding plugins: built-in modules, and the entry points of installed distributions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import wsgraph
from wsgraph.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DISABLE_VARIABLE", "ENTRY_POINT_GROUP", "Plugin", "find_plugins"]

ENTRY_POINT_GROUP = "wsgraph"
DISABLE_VARIABLE = "WSGRAPH_DISABLE_PLUGINS"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin, loaded or switched off.

    Attributes:
        name: the entry point's name, or a built-in module's full name.
        distribution: the distribution that brings it.
        version: that distribution's version.
        module: the module, or the object that the entry point names; None when switched off.
        builtin: whether it comes with wsgraph.
    """

    name: str
    distribution: str
    version: str
    module: Any
    builtin: bool

    @property
    def enabled(self) -> bool:
        """Whether it is loaded."""
        return self.module is not None

    @property
    def described(self) -> str:
        """Name and origin for messages: ``my-ops (distribution wsgraph-my-ops 1.2)``."""
        return f"{self.name} (distribution {self.distribution} {self.version})"


def find_plugins(builtin: Iterable[str]) -> Iterator[Plugin]:
    """Import built-in modules and every installed distribution's entry points, in this order.

    Args:
        builtin: built-in modules.

    Raises:
        PluginError: an entry point cannot be imported.
    """
    disabled = _disabled()
    yield from _builtin_plugins(builtin, disabled)
    yield from _third_party_plugins(disabled)


def _disabled() -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, os.environ.get(DISABLE_VARIABLE, "").split(","))))


def _builtin_plugins(names: Iterable[str], disabled: frozenset[str]) -> Iterator[Plugin]:
    for name in names:
        module = None if name in disabled else import_module(name)
        yield Plugin(name, "wsgraph", wsgraph.__version__, module, builtin=True)


def _third_party_plugins(disabled: frozenset[str]) -> Iterator[Plugin]:
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        distribution, version = _origin(entry_point)
        off = not disabled.isdisjoint({"all", entry_point.name, distribution})
        module = None if off else _load(entry_point)
        yield Plugin(entry_point.name, distribution, version, module, builtin=False)


def _origin(entry_point: EntryPoint) -> tuple[str, str]:
    if entry_point.dist is None:
        return "unknown", "unknown"
    return entry_point.dist.name, entry_point.dist.version


def _load(entry_point: EntryPoint) -> object:
    try:
        return entry_point.load()  # a module or any object
    except Exception as error:  # importing foreign code may fail in any way
        distribution, version = _origin(entry_point)
        raise PluginError(
            f"plugin {entry_point.name} of the distribution {distribution} {version} cannot be imported "
            f"({entry_point.value}): {type(error).__name__}: {error}",
            remedy=f"mend or uninstall it, or switch it off: {DISABLE_VARIABLE}={entry_point.name}",
        ) from error
