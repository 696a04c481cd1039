"""Loading plugins, checking their hooks, and asking them what they register."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pluggy

from wsgraph.errors import PluginError
from wsgraph.lowering import hookspecs
from wsgraph.lowering.discovery import DISABLE_VARIABLE, Plugin, find_plugins
from wsgraph.lowering.registry import Registry, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    "wsgraph_plugins.where",
    "wsgraph_plugins.linear",
    "wsgraph_plugins.einsum",
    "wsgraph_plugins.conv",
    "wsgraph_plugins.norm",
    "wsgraph_plugins.concat",
    "wsgraph_plugins.pooling",
    "wsgraph_plugins.reduction",
    "wsgraph_plugins.attention",
    "wsgraph_plugins.embedding",
    "wsgraph_plugins.recurrent",
    "wsgraph_plugins.lookup",
    "wsgraph_plugins.bilinear",
    "wsgraph_plugins.fold",
    "wsgraph_plugins.experts",
    "wsgraph_plugins.sampling",
    "wsgraph.frontends.onnx.plugin",
    "wsgraph.zoo.formats.builtin",
)
"""The standard lowerings, one operator family a module, and the zoo formats; loaded in this order, before
anybody else's."""

BUILTIN_COMMANDS: tuple[str, ...] = (
    "wsgraph.cli.builtin",
    "wsgraph_encoders.encoding.commands",
    "wsgraph_encoders.experiments.commands",
    "wsgraph_encoders.tasks.commands",
)
"""Modules whose commands come with wsgraph; apart, because ``wsgraph --help`` loads only these of ours."""

_REGISTRY_HOOKS = {
    "wsgraph_register_lowerings": "lowerings",
    "wsgraph_register_rewrites": "rewrites",
    "wsgraph_register_frontends": "frontends",
    "wsgraph_register_zoo_formats": "zoo_formats",
}


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
                    table: Table[Any] = getattr(registry, _REGISTRY_HOOKS[hook])
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
    return PluginHost(find_plugins(builtin))


@cache
def load_registry() -> Registry:
    """Everything registered by the built-in and the installed plugins; loaded once a process."""
    return load_plugins(BUILTIN_PLUGINS).registry()
