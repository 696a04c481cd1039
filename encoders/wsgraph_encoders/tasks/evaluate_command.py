"""``wsgraph evaluate``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wsgraph.cli.output import Output

__all__ = ["evaluate_command"]


def evaluate_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A folder of wsgraph train.", show_default=False)
    ],
    *,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Whose models count.")] = "test",
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Of the bootstrap.")] = 1000,
    plots: Annotated[bool, typer.Option(help="Draw figures into RUN/plots.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score every method beside the baselines, with 95 % bootstrap intervals over models."""
    from wsgraph_encoders.tasks.evaluate import evaluate_run, verdict
    from wsgraph_encoders.tasks.run import load_run

    out = Output(as_json=as_json)
    with out.working(f"evaluating {run}"):
        metrics = evaluate_run(run, split=split, samples=samples)
    opened = load_run(run)
    names = opened.task.metrics
    count = int((opened.examples["split"] == split).sum())
    out.line(f"{opened.task.kind} of {opened.task.label}, {count:,} {split} models; mean over seeds [95 %]")
    rows = [
        (method, f"{len(scores[names[0]]['seeds'])}", *(_cell(scores[name]) for name in names))
        for method, scores in metrics.items()
    ]
    out.table(("method", "#seeds", *(f"#{name}" for name in names)), rows)
    for method, reason in opened.skipped.items():
        out.line(f"{method} is left out: {reason}")
    conclusion = verdict(opened.task, metrics)
    out.line(conclusion)
    drawn = _draw(run, split, out) if plots else []
    out.line(f"written to {run}: metrics.json, predictions.parquet" + (", plots/" if drawn else ""))
    out.result(
        {
            "run": str(run),
            "split": split,
            "models": count,
            "metrics": metrics,
            "skipped": opened.skipped,
            "verdict": conclusion,
            "plots": [str(path) for path in drawn],
        }
    )


def _draw(run: Path, split: str, out: Output) -> list[Path]:
    """The figures; scores are worth having without them."""
    from wsgraph.errors import MissingDependencyError
    from wsgraph_encoders.plots import write_evaluation_plots

    try:
        return write_evaluation_plots(run, split=split)
    except MissingDependencyError as error:
        out.line(f"no figures: {error}")
        return []


def _cell(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "not defined"
    ends = ["?" if score[end] is None else f"{score[end]:.3g}" for end in ("low", "high")]
    return f"{score['mean']:.3g} [{ends[0]}, {ends[1]}]"
