"""``wsgraph zoo split``: train, validation and test models, runs kept together."""

from pathlib import Path
from typing import Annotated

import typer

from wsgraph.cli.output import Output

__all__ = ["split_command"]


def _ratio(text: str) -> str:
    parts = text.replace("/", ",").split(",")
    try:
        shares = [float(part) for part in parts]
    except ValueError:
        shares = []
    if len(shares) != 3 or min(shares) < 0 or not 0 < sum(shares) < float("inf"):
        raise typer.BadParameter(f"{text!r} is no ratio of train, val and test such as 0.7,0.15,0.15")
    return ",".join(str(share) for share in shares)


def split_command(
    zoo: Annotated[Path, typer.Argument(metavar="ZOO", help="A zoo's folder.", show_default=False)],
    *,
    ratio: Annotated[
        str, typer.Option(metavar="A,B,C", help="Shares of train, val and test.", callback=_ratio)
    ] = "0.7,0.15,0.15",
    seed: Annotated[int, typer.Option(help="Which of the possible splits.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Split a zoo; checkpoints of one run, and models with equal weights, stay on one side."""
    from wsgraph.zoo.leakage import split_zoo

    out = Output(as_json=as_json)
    counts = split_zoo(zoo, [float(share) for share in ratio.split(",")], seed)
    out.line(", ".join(f"{name}: {count:,}" for name, count in counts.items()))
    out.result({"zoo": str(zoo), "seed": seed, "splits": counts})
