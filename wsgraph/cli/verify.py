"""``wsgraph verify``: is the graph right?"""

from typing import Annotated

import typer

from wsgraph.cli.options import (
    AllowOption,
    ArchOption,
    AttentionOption,
    InputOption,
    JsonOption,
    ModelArgument,
    UnsupportedOption,
)
from wsgraph.cli.output import Output
from wsgraph.options import CompileOptions

__all__ = ["verify_command"]


def verify_command(  # noqa: PLR0913  a command's options are its arguments
    model: ModelArgument,
    *,
    inputs: InputOption = None,
    arch: ArchOption = None,
    allow: AllowOption = None,
    attention: AttentionOption = "full",
    unsupported: UnsupportedOption = "error",
    samples: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Pairs an edge block, permutations and symmetry groups that are tried."
        ),
    ] = 2,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all random choices.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compile MODEL and prove the graph by running the model; exit code 1 if anything fails."""
    from wsgraph.verification import verify

    out = Output(as_json=as_json)
    options = CompileOptions(attention=attention, unsupported=unsupported, allow=tuple(allow or ()))
    with out.working(f"verifying {model}"):
        report = verify(None, model, inputs or None, arch=arch, options=options, samples=samples, seed=seed)
    rows = [(c.name, "ok" if c.passed else "FAILED", c.detail) for c in report.checks]
    out.table(("check", "result", "detail"), rows)
    out.result({"model": model, **report.to_dict()})
    if not report.ok:
        raise typer.Exit(1)
