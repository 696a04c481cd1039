"""``wsgraph experiment inr-classify``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from wsgraph.cli.output import Output

__all__ = ["inr_classify_command"]

_METHODS = ["inr2jls", "inr2jls-plain", "dng", "static", "flat"]


def inr_classify_command(  # noqa: PLR0913  a command's options are its arguments
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where results go, run by run.")
    ] = Path("inr-classify"),
    sirens: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where fitted SIRENs are kept; DIR/sirens by default.")
    ] = None,
    images: Annotated[int, typer.Option(min=10, max=5000, help="MNIST images to fit and classify.")] = 5000,
    copies: Annotated[
        int, typer.Option(min=0, help="Further SIRENs of each training image, from other initialisations.")
    ] = 0,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="What to compare, repeatable: inr2jls, inr2jls-plain, inr2jls-noise, inr-inr, no-generator, "
            "positions, activations, dng, static, flat. By default the first two and the last three.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions of each method.")] = 3,
    size: Annotated[Literal["small", "paper"], typer.Option(help="Sizes of the models.")] = "small",
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of reconstruction, and of training an encoder end to end.")
    ] = 800,
    classifier_steps: Annotated[
        int, typer.Option(min=1, help="Steps of classifiers over a frozen encoder.")
    ] = 400,
    batch: Annotated[int, typer.Option(min=2, help="Networks a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Of all training.")] = 5e-3,
    canonical: Annotated[
        bool, typer.Option(help="Take the sine's symmetries out of the SIRENs first, for all methods alike.")
    ] = True,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto is a GPU if there is one.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Classify SIRENs of MNIST images: INR2JLS, the encoder alone, and the baselines (section 8.1).

    SIRENs, runs that are done and the state of the one that is not are kept: interrupted, the same command
    goes on where it was, and more seeds or methods can be added.
    """
    from wsgraph_encoders.experiments.inr_classify import InrClassifySettings, inr_classify

    out = Output(as_json=as_json)
    settings = InrClassifySettings(
        images, copies, size, steps, classifier_steps, batch, learning_rate, canonical=canonical
    )
    found = inr_classify(output, settings, methods or _METHODS, seeds, out.line, sirens=sirens, device=device)
    rows = [
        (name, f"{100 * row['mean']:.1f}", f"{100 * row['deviation']:.1f}", f"{row['parameters']:,}")
        for name, row in found["summary"].items()
    ]
    out.line(f"SIRENs show their images at {found['siren_psnr']:.1f} dB on average")
    out.table(("method", "#test accuracy, %", "#deviation", "#parameters"), rows)
    out.line(f"written to {output}: inr_classify.json, .md and .png")
    out.result(found)
