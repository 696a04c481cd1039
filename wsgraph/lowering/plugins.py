"""Finding, loading and checking plugins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

import wsgraph
from wsgraph.errors import PluginError
from wsgraph.lowering import hookspecs
from wsgraph.lowering.registry import Registry, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

__all__ = [
    "BUILTIN_COMMANDS",
    "BUILTIN_PLUGINS",
    "DISABLE_VARIABLE",
    "Plugin",
    "PluginHost",
    "load_plugins",
    "load_registry",
]

BUILTIN_PLUGINS: tuple[str, ...] = (
    "wsgraph_plugins.movement",
    "wsgraph_plugins.elementwise",
    "wsgraph_plugins.linear",
    "wsgraph_plugins.conv",
    "wsgraph_plugins.norm",
    "wsgraph_plugins.concat",
    "wsgraph_plugins.pooling",
    "wsgraph_plugins.reduction",
    "wsgraph_plugins.attention",
    "wsgraph_plugins.embedding",
)
"""The standard lowerings, one operator family a module; loaded in this order, before anybody else's."""

BUILTIN_COMMANDS: tuple[str, ...] = ("wsgraph.cli.builtin",)
"""Modules whose commands come with wsgraph; apart, because ``wsgraph --help`` loads only these of ours."""

ENTRY_POINT_GROUP = "wsgraph"
DISABLE_VARIABLE = "WSGRAPH_DISABLE_PLUGINS"

_REGISTRY_HOOKS = {
    "wsgraph_register_lowerings": "lowerings",
    "wsgraph_register_rewrites": "rewrites",
    "wsgraph_register_frontends": "frontends",
    "wsgraph_register_zoo_formats": "zoo_formats",
}


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


class PluginHost:
    """The loaded plugins, in loading order.

    Args:
        plugins: all plugins found; those switched off are listed but not asked for anything.

    Raises:
        PluginError: a plugin implements no hook, an unknown one, or one with arguments it does not have.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for plugin in self._active():
            self._register(plugin)

    def hooks(self, plugin: Plugin) -> tuple[str, ...]:
        """Names of the hooks that a plugin implements; none when it is switched off."""
        callers = self._manager.get_hookcallers(plugin.module) if plugin.enabled else None
        return tuple(caller.name for caller in callers or ())

    def call(self, hook: str, plugin: Plugin, **arguments: Any) -> None:
        """Call one hook of one plugin, so that what it does can be put down to it.

        Raises:
            PluginError: the plugin failed.
        """
        others = [other.module for other in self._active() if other is not plugin]
        try:
            self._manager.subset_hook_caller(hook, others)(**arguments)
        except PluginError:
            raise
        except Exception as error:  # a plugin is foreign code and may fail in any way
            raise PluginError(
                f"plugin {plugin.described} failed in {hook}: {type(error).__name__}: {error}",
                remedy=f"mend it, or switch it off: {DISABLE_VARIABLE}={plugin.name}",
            ) from error

    def registry(self) -> Registry:
        """What the plugins register for the compiler.

        Raises:
            PluginError: two plugins register the same key, or one fails.
        """
        registry = Registry()
        for plugin in self._active():
            for hook in self.hooks(plugin):
                if hook in _REGISTRY_HOOKS:
                    table: Table = getattr(registry, _REGISTRY_HOOKS[hook])
                    self.call(hook, plugin, register=partial(table.add, owner=plugin.name))
        return registry

    def _active(self) -> Iterator[Plugin]:
        return (plugin for plugin in self.plugins if plugin.enabled)

    def _register(self, plugin: Plugin) -> None:
        try:
            self._manager.register(plugin.module, name=plugin.name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(
                f"plugin {plugin.described}: {str(error).splitlines()[-1].strip()}",
                remedy=f"the hooks and their arguments are those of {hookspecs.__name__}",
            ) from error
        if not self.hooks(plugin):
            raise PluginError(
                f"plugin {plugin.described} implements no hook",
                remedy="mark its wsgraph_register_... functions with @wsgraph.hookimpl",
            )


def load_plugins(builtin: Iterable[str]) -> PluginHost:
    """Load built-in modules and every installed distribution's entry points.

    Args:
        builtin: built-in modules to load first, in this order.

    Raises:
        PluginError: a plugin cannot be imported or is not valid.
    """
    disabled = _disabled()
    return PluginHost([*_builtin_plugins(builtin, disabled), *_third_party_plugins(disabled)])


@cache
def load_registry() -> Registry:
    """Everything registered by the built-in and the installed plugins; loaded once a process."""
    return load_plugins(BUILTIN_PLUGINS).registry()


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


def _load(entry_point: EntryPoint) -> ModuleType | object:
    try:
        return entry_point.load()  # type: ignore[no-any-return]  # an entry point may name anything
    except Exception as error:  # importing foreign code may fail in any way
        distribution, version = _origin(entry_point)
        raise PluginError(
            f"plugin {entry_point.name} of the distribution {distribution} {version} cannot be imported "
            f"({entry_point.value}): {type(error).__name__}: {error}",
            remedy=f"mend or uninstall it, or switch it off: {DISABLE_VARIABLE}={entry_point.name}",
        ) from error
