"""The program ``wsgraph``: puts the commands together and is the one place that formats errors.

Exit codes: 0 done; 1 the model or file cannot be processed; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

import wsgraph
from wsgraph.cli.commands import add_commands
from wsgraph.errors import WsgraphError
from wsgraph.lowering.plugins import BUILTIN_COMMANDS, load_plugins

__all__ = ["DEBUG_VARIABLE", "main", "program"]

DEBUG_VARIABLE = "WSGRAPH_DEBUG"
# Imports and graphs are millions of objects that live to a command's end; looking for cycles among them as
# often as Python does by default takes a tenth of the time.
COLLECTOR_THRESHOLDS = (50_000, 20, 100)


def program() -> None:
    """The process ``wsgraph``: :func:`main`, then out at once.

    An interpreter that ends by itself frees what torch and a graph are made of object by object, which takes
    a second. The handler that is registered first runs last, after threads have ended and all other handlers.
    """
    codes: list[int] = []
    atexit.register(_leave, codes)
    try:
        main()
    except SystemExit as leaving:
        if isinstance(leaving.code, int):
            codes.append(leaving.code)
        raise


def _leave(codes: list[int]) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # output that cannot be written is for the interpreter to report
    for code in codes:
        os._exit(code)


def main() -> None:
    """Run ``wsgraph`` with the process's arguments and exit."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries tell developers is noise under a user's command
    try:
        _app()(prog_name="wsgraph")
    except WsgraphError as error:
        _fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:  # noqa: BLE001  anything else is a bug, but a user needs no traceback of it
        _fail(
            f"internal error: {type(error).__name__}: {error}\n"
            f"  -> this is a bug in wsgraph or in a plugin; {DEBUG_VARIABLE}=1 shows the traceback",
            1,
        )


def _app() -> typer.Typer:
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: the boxes cost as much time as everything else together
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    add_commands(app, load_plugins(BUILTIN_COMMANDS))
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wsgraph {wsgraph.__version__}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Compile trained networks into streams of timestamped graph events."""


def _fail(message: str, code: int) -> None:
    if os.environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}:
        traceback.print_exc()
    sys.stderr.write(f"{message}\n")
    sys.exit(code)
