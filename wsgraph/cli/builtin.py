"""The commands that wsgraph brings itself, registered through the hook that everybody else uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wsgraph

if TYPE_CHECKING:
    import typer

__all__ = ["wsgraph_register_commands"]


@wsgraph.hookimpl
def wsgraph_register_commands(cli: typer.Typer) -> None:
    """Add ``compile``, ``inspect``, ``symmetries``, ``verify`` and ``plugins``."""
    from wsgraph.cli.compile import compile_command
    from wsgraph.cli.inspect import inspect_command
    from wsgraph.cli.plugins import plugins_app
    from wsgraph.cli.symmetries import symmetries_command
    from wsgraph.cli.verify import verify_command

    cli.command("compile")(compile_command)
    cli.command("inspect")(inspect_command)
    cli.command("symmetries")(symmetries_command)
    cli.command("verify")(verify_command)
    cli.add_typer(plugins_app, name="plugins")
