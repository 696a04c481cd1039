"""``wsgraph zoo train``: a zoo of small networks, trained on real images."""

from pathlib import Path
from typing import Annotated

import typer

from wsgraph.cli.output import Output
from wsgraph.cli.progress import progress
from wsgraph.zoo.kinds import Images, Kind

__all__ = ["train_command"]


def train_command(  # noqa: PLR0913  a command's options are its arguments
    kind: Annotated[
        Kind,
        typer.Argument(metavar="KIND", help="siren, vit, cnn or park (random CNNs).", show_default=False),
    ],
    *,
    images: Annotated[Images, typer.Option(help="What to learn.")] = "mnist",
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Number of models.")] = 300,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="ZOO", help="The zoo to make or add to.", show_default=False),
    ],
    seed: Annotated[int, typer.Option(help="Everything is drawn from it.")] = 0,
    max_epochs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Classifiers stop after 1 to N epochs.")
    ] = 12,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of a SIREN's fit.")] = 300,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="cpu or cuda; a GPU if there is one when left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a zoo with varied hyperparameters; run it again to go on after an interruption."""
    from wsgraph.zoo.training.run import TrainingPlan, train_zoo

    out = Output(as_json=as_json)
    plan = TrainingPlan(kind, images, count, seed, max_epochs, steps)
    with progress("training") as show:
        trained = train_zoo(plan, output, device=device, progress=show)
    out.line(f"{trained:,} models trained into {output}, {count - trained:,} were there already")
    out.result({"zoo": str(output), "trained": trained, "present": count - trained})
