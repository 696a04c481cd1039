"""``wsgraph experiment forward-fit``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from wsgraph.cli.output import Output

__all__ = ["forward_fit_command"]


def forward_fit_command(  # noqa: PLR0913  a command's options are its arguments
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where results go, run by run.")
    ] = Path("forward-fit"),
    train: Annotated[int, typer.Option(min=1, help="Random networks to train on.")] = 1000,
    test: Annotated[int, typer.Option(min=1, help="Random networks to test on.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training networks.")] = 40,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the encoders' features.")] = 32,
    shared: Annotated[
        bool, typer.Option("--shared/--per-step", help="One message and update function, or one a step.")
    ] = True,
    read_steps: Annotated[
        bool,
        typer.Option("--read-steps", help="Read layer l of the static model after round l, not at the end."),
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto is a GPU if there is one.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Static against dynamic message passing: who follows a network's forward pass (section 7)?

    A run that is done is kept: interrupted, the same command goes on where it was.
    """
    from wsgraph_encoders.experiments.forward_fit import ForwardFitSettings, forward_fit

    out = Output(as_json=as_json)
    settings = ForwardFitSettings(
        train=train, test=test, epochs=epochs, hidden=hidden, shared=shared, read_steps=read_steps
    )
    found = forward_fit(output, settings, seeds, out.line, device=device)
    summary = found["summary"]
    rows = [
        (
            str(layer + 1),
            *(f"{summary[name]['mean'][layer]:.5f}" for name in ("static", "dynamic")),
            f"{ratio:.2f}",
        )
        for layer, ratio in enumerate(summary["static_over_dynamic"])
    ]
    out.table(("#layer", "#static MSE", "#dynamic MSE", "#ratio"), rows)
    out.line(f"written to {output / 'forward_fit.json'} and {output / 'forward_fit.png'}")
    out.result(found)
