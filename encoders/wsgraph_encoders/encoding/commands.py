"""``wsgraph encode``. No torch here: ``wsgraph --help`` imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wsgraph

if TYPE_CHECKING:
    import typer

__all__ = ["wsgraph_register_commands"]


@wsgraph.hookimpl
def wsgraph_register_commands(cli: typer.Typer) -> None:
    """Add ``encode``."""
    from wsgraph_encoders.encoding.encode_command import encode_command

    cli.command("encode")(encode_command)
