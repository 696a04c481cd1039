"""``wsgraph experiment``: the paper's comparisons. No torch here: ``wsgraph --help`` imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wsgraph

if TYPE_CHECKING:
    import typer

__all__ = ["wsgraph_register_commands"]


@wsgraph.hookimpl
def wsgraph_register_commands(cli: typer.Typer) -> None:
    """Add ``experiment forward-fit`` and ``experiment inr-classify``."""
    import typer

    from wsgraph_encoders.experiments.forward_fit_command import forward_fit_command
    from wsgraph_encoders.experiments.inr_classify_command import inr_classify_command

    app = typer.Typer(no_args_is_help=True, help="Run one of the paper's experiments.")
    app.command("forward-fit")(forward_fit_command)
    app.command("inr-classify")(inr_classify_command)
    cli.add_typer(app, name="experiment")
