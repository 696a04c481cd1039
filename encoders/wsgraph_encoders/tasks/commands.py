"""``wsgraph train``, ``evaluate`` and ``predict``. No torch here: ``wsgraph --help`` imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wsgraph

if TYPE_CHECKING:
    import typer

__all__ = ["wsgraph_register_commands"]


@wsgraph.hookimpl
def wsgraph_register_commands(cli: typer.Typer) -> None:
    """Add the three commands."""
    from wsgraph_encoders.tasks.evaluate_command import evaluate_command
    from wsgraph_encoders.tasks.predict_command import predict_command
    from wsgraph_encoders.tasks.train_command import train_command

    cli.command("train")(train_command)
    cli.command("evaluate")(evaluate_command)
    cli.command("predict")(predict_command)
