"""``wsgraph inspect``: what is in a compiled file."""

from pathlib import Path
from typing import Annotated

import typer

import wsgraph
from wsgraph.cli.output import Output
from wsgraph.cli.report import describe, print_report

__all__ = ["inspect_command"]


def inspect_command(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.wsg", help="A file that `wsgraph compile` wrote.", show_default=False),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a compiled file: its timeline, the ledger's totals, the fingerprint and where it came from."""
    out = Output(as_json=as_json)
    stream = wsgraph.load(file)
    report = describe(stream)
    print_report(stream, report, out)
    out.result({"file": str(file), **report})
