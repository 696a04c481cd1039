"""Collecting the sub-commands of all plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from wsgraph.errors import PluginError
from wsgraph.lowering.plugins import DISABLE_VARIABLE, PluginHost

if TYPE_CHECKING:
    from wsgraph.lowering.plugins import Plugin

__all__ = ["add_commands", "commands_of"]

HOOK = "wsgraph_register_commands"


def commands_of(host: PluginHost, plugin: Plugin) -> tuple[typer.Typer, tuple[str, ...]]:
    """The commands that one plugin registers, and their names."""
    app = typer.Typer()
    app.callback()(lambda: None)  # without a callback typer makes a single command of it, not a group
    if HOOK in host.hooks(plugin):
        host.call(HOOK, plugin, cli=app)
    return app, tuple(getattr(get_command(app), "commands", {}))


def add_commands(app: typer.Typer, host: PluginHost) -> None:
    """Add every plugin's commands to ``app``.

    Raises:
        PluginError: two plugins register a command of the same name.
    """
    owners: dict[str, str] = {}
    for plugin in host.plugins:
        commands, names = commands_of(host, plugin)
        for name in names:
            if name in owners:
                raise PluginError(
                    f"the command {name!r} is registered twice: by {owners[name]} and by {plugin.name}",
                    remedy=f"switch one of them off: {DISABLE_VARIABLE}={plugin.name}",
                )
            owners[name] = plugin.name
        app.registered_commands += commands.registered_commands
        app.registered_groups += commands.registered_groups
