"""``wsgraph predict``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wsgraph.cli.options import AllowOption, ArchOption, InputOption
from wsgraph.cli.output import Output

__all__ = ["predict_command"]


def predict_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A folder of wsgraph train.", show_default=False)
    ],
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Whatever wsgraph compile takes, or a .wsg file.", show_default=False
        ),
    ],
    *,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="NAME", help="Repeatable; all that can by default."),
    ] = None,
    inputs: InputOption = None,
    arch: ArchOption = None,
    allow: AllowOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict the label of models that were not in the zoo, by every method and seed."""
    from wsgraph.options import CompileOptions
    from wsgraph_encoders.tasks.predict import predict_models

    out = Output(as_json=as_json)
    options = CompileOptions(allow=tuple(allow or ()))
    with out.working(f"predicting for {len(models):,} models"):
        found = predict_models(
            run, models, methods=methods or (), inputs=inputs or None, arch=arch, options=options
        )
    rows = [
        (entry["model"], method, _shown(answer["prediction"]), _shown(answer["deviation"]))
        for entry in found
        for method, answer in entry["predictions"].items()
    ]
    out.table(("model", "method", "#prediction", "#deviation over seeds"), rows)
    for entry in found:
        for method, reason in entry["left_out"].items():
            out.line(f"{entry['model']}: no prediction by {method}: {reason}")
    out.result({"run": str(run), "predictions": found})
    failed = [entry for entry in found if entry["error"]]
    for entry in failed:
        sys.stderr.write(f"error: {entry['model']}: {entry['error']}\n")
    if failed:
        raise typer.Exit(1)


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
