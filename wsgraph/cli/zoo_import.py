"""``wsgraph zoo import``: from a folder of checkpoints to a zoo."""

from pathlib import Path
from typing import Annotated

import typer

from wsgraph.cli.options import AllowOption, AttentionOption, EngineOption, JsonOption, UnsupportedOption
from wsgraph.cli.output import Output
from wsgraph.cli.progress import progress
from wsgraph.options import CompileOptions

__all__ = ["import_command"]

_SHOWN = 5


def _settings(texts: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts or ()]
    if wrong := [
        text for text, (name, equals, _) in zip(texts or (), pairs, strict=True) if not (name and equals)
    ]:
        raise typer.BadParameter(f"{wrong[0]!r} is no NAME=VALUE")
    return {name: value for name, _, value in pairs}


def import_command(  # noqa: PLR0913  a command's options are its arguments
    layout: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="folder, hf, small-cnn-zoo, wild-park, nfn-sirens, dws-inrs, model-zoos, "
            "small-transformer-zoo, dng-vits, or one of a plugin.",
            show_default=False,
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder to import.", show_default=False)],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="ZOO", help="The zoo to make or add to.", show_default=False),
    ],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the format; repeatable."),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(metavar="ARCH", help="Architecture of bare state dicts (folder, hf).")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="SHAPE", help="An input's shape (folder, hf).")
    ] = None,
    allow: AllowOption = None,
    prefix: Annotated[str, typer.Option(help="Put before every id, for several imports into one zoo.")] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Import the first N checkpoints only.")
    ] = None,
    attention: AttentionOption = "full",
    unsupported: UnsupportedOption = "error",
    engine: EngineOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Import the checkpoints of SRC into a zoo; run it again to go on after an interruption."""
    from dataclasses import asdict

    from wsgraph.zoo.importing import import_zoo
    from wsgraph.zoo.options import ImportOptions

    out = Output(as_json=as_json)
    compile_options = CompileOptions(attention=attention, unsupported=unsupported, allow=tuple(allow or ()))
    options = ImportOptions(arch, tuple(inputs or ()), compile_options.allow, _settings(setting))
    with progress("importing") as show:
        report = import_zoo(
            layout,
            source,
            output,
            options=options,
            prefix=prefix,
            limit=limit,
            compile_options=compile_options,
            progress=show,
            engine=engine,
        )
    out.line(
        f"{report.imported:,} models of {report.listed:,} checkpoints imported into {output}, "
        f"{report.present:,} were there already; {report.architectures:,} architectures"
    )
    for model, reason in list(report.failed.items())[:_SHOWN]:
        out.line(f"not imported: {model}: {reason}")
    if len(report.failed) > _SHOWN:
        out.line(f"not imported: {len(report.failed) - _SHOWN:,} more; `wsgraph zoo info {output}` lists all")
    out.result({"zoo": str(output), **asdict(report)})
    if not report.imported and not report.present:
        raise typer.Exit(1)
