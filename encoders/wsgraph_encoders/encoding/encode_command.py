"""``wsgraph encode``: from a zoo to a table of embeddings."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from wsgraph.cli.options import EngineOption, JsonOption
from wsgraph.cli.output import Output
from wsgraph.cli.progress import progress

__all__ = ["encode_command"]

_SHOWN = 5


def encode_command(  # noqa: PLR0913  a command's options are its arguments
    zoo: Annotated[Path, typer.Argument(metavar="ZOO", help="A zoo's folder.", show_default=False)],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The table to write, a .parquet file.", show_default=False
        ),
    ],
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Encode with what `wsgraph train` made.")
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Encode with random parameters, drawn from --seed.")
    ] = False,
    method: Annotated[
        str | None, typer.Option(help="Which of the run's methods; its first one by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which of the method's seeds; the first one by default.")
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, help="Width of an untrained encoder's embeddings.")] = 64,
    engine: EngineOption = "local",
    map_label: Annotated[
        str | None,
        typer.Option("--map", metavar="COLUMN", help="Also draw the embeddings, coloured by this column."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the embeddings of a zoo's models; run it again to go on, or after the zoo has grown."""
    if (run is None) != untrained or (untrained and method is not None):
        raise typer.BadParameter("name a run (--run RUN [--method M]), or ask for --untrained")
    if output.suffix != ".parquet":
        raise typer.BadParameter(f"--output is a .parquet file, got {output}")
    from wsgraph_encoders.encoding.choice import EncoderChoice
    from wsgraph_encoders.encoding.encode import encode_zoo

    out = Output(as_json=as_json)
    choice = EncoderChoice(None if run is None else str(run.absolute()), method, seed, hidden)
    with progress("encoding") as show:
        report = encode_zoo(zoo, choice, output, engine=engine, progress=show)
    drawn = _draw(output, map_label) if map_label and report.present + report.encoded else None
    out.line(
        f"{report.encoded:,} models encoded into {output}, {report.present:,} were there already, "
        f"{len(report.failed):,} failed"
    )
    reasons = Counter(report.failed.values())
    for reason, count in reasons.most_common(_SHOWN):
        first = next(model for model, why in report.failed.items() if why == reason)
        out.line(f"not encoded: {first}" + (f" and {count - 1:,} more" if count > 1 else "") + f": {reason}")
    if len(reasons) > _SHOWN:
        out.line(f"not encoded: {len(reasons) - _SHOWN:,} more reasons; --json lists all")
    found = {"embeddings": str(output), "models": report.models, "encoded": report.encoded}
    found |= {"present": report.present, "failed": report.failed}
    out.result(found | ({"map": str(drawn)} if drawn else {}))
    if not report.present + report.encoded:
        raise typer.Exit(1)


def _draw(table: Path, label: str) -> Path:
    import polars as pl

    from wsgraph_encoders.plots import embedding_map, write_figure

    path = table.with_suffix(".png")
    write_figure(embedding_map(pl.read_parquet(table, memory_map=False), label), path)
    return path
