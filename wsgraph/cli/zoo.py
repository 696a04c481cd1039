"""``wsgraph zoo``: make, import, inspect and split folders of many models."""

from __future__ import annotations

import typer

from wsgraph.cli.zoo_import import import_command
from wsgraph.cli.zoo_info import info_command
from wsgraph.cli.zoo_split import split_command
from wsgraph.cli.zoo_train import train_command

__all__ = ["zoo_app"]

zoo_app = typer.Typer(help="Make, import, inspect and split zoos of models.", no_args_is_help=True)
zoo_app.command("train")(train_command)
zoo_app.command("import")(import_command)
zoo_app.command("info")(info_command)
zoo_app.command("split")(split_command)
