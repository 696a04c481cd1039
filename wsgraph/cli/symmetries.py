"""``wsgraph symmetries``: which neurons may be permuted."""

from pathlib import Path
from typing import Annotated

import typer

import wsgraph
from wsgraph.cli.output import Output

__all__ = ["symmetries_command"]


def symmetries_command(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.wsg", help="A file that `wsgraph compile` wrote.", show_default=False),
    ],
    *,
    spec: Annotated[
        bool, typer.Option("--spec", help="Print git-re-basin's permutation specification, as JSON.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the groups of neurons that may be permuted (or scaled) without changing the function."""
    from wsgraph.symmetry.spec import permutation_spec

    out = Output(as_json=as_json or spec)
    stream = wsgraph.load(file)
    if spec:
        out.result(permutation_spec(stream).to_dict())
        return
    found = wsgraph.symmetries(stream)
    rows = [(s.kind, str(s.size), str(len(s.members)), s.places) for s in found]
    out.table(("kind", "#size", "#members", "places"), rows)
    out.line()
    out.line(f"{len(found)} groups")
    out.result({"file": str(file), "symmetries": [s.to_dict() for s in found]})
