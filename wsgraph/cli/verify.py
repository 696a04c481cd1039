"""``wsgraph verify``: is the graph right?"""

from typing import Annotated

import typer

from wsgraph.cli.output import Output
from wsgraph.options import Attention, CompileOptions, Unsupported

__all__ = ["verify_command"]


def verify_command(  # noqa: PLR0913  a command's options are its arguments
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A checkpoint, an exported program or a model folder.", show_default=False
        ),
    ],
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="An input's shape, 1x3x224x224 or 1x128:int64; repeat for several.",
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="ARCH", help="What a bare state dict belongs to, such as torchvision.models:resnet18."
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PACKAGE", help="Trust a package's module classes in a pickled model; repeatable."
        ),
    ] = None,
    attention: Annotated[Attention, typer.Option(help="Edges into an attention's mixing nodes.")] = "full",
    unsupported: Annotated[
        Unsupported, typer.Option(help="What to do with an operator that no plugin lowers.")
    ] = "error",
    samples: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Pairs an edge block, permutations and symmetry groups that are tried."
        ),
    ] = 2,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all random choices.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
