"""``wsgraph zoo info``: what is in a zoo, and what is wrong with it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wsgraph.cli.output import Output

__all__ = ["info_command"]

_SHOWN = 20


def info_command(
    zoo: Annotated[Path, typer.Argument(metavar="ZOO", help="A zoo's folder.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a zoo: models, architectures, labels, failed checkpoints, duplicates, leaks between splits."""
    from wsgraph.zoo.reader import open_zoo
    from wsgraph.zoo.summary import summarise

    out = Output(as_json=as_json)
    with out.working(f"reading {zoo}"):
        report = summarise(open_zoo(zoo))
    _print(report, out)
    out.result(report)


def _print(report: dict[str, Any], out: Output) -> None:
    architectures, failures = report["architectures"], report["failures"]
    out.line(
        f"{report['models']:,} models of {report['runs']:,} runs and {len(architectures):,} architectures; "
        + ", ".join(f"{split}: {count:,}" for split, count in report["splits"].items())
    )
    out.table(
        ("fingerprint", "#models", "#nodes", "#edges", "#timestamps"),
        [
            (a["fingerprint"][:16], *(f"{a[k]:,}" for k in ("models", "nodes", "edges", "timestamps")))
            for a in architectures[:_SHOWN]
        ],
    )
    _more(len(architectures), "architectures", out)
    if report["labels"]:
        out.table(("label", "type", "#missing", "values"), [_label(label) for label in report["labels"]])
    for failure in failures[:_SHOWN]:
        out.line(f"failed: {failure['id']}: {failure['reason']}")
    _more(len(failures), "failures", out)
    duplicates = report["duplicates"]
    _groups("equal models", duplicates["exact"], out)
    _groups("equal up to the order of neurons", duplicates["up_to_permutation"], out)
    _groups("equal models in different splits", duplicates["across_splits"], out)
    for run, splits in list(report["leaking_runs"].items())[:_SHOWN]:
        out.line(f"leak: run {run} is in {' and '.join(splits)}")
    _more(len(report["leaking_runs"]), "leaking runs", out)


def _label(label: dict[str, Any]) -> tuple[str, str, str, str]:
    if "min" not in label:
        text = f"{label['values']:,} different"
    elif label["min"] is None:
        text = "none finite"
    else:
        text = f"{label['min']:.4g} to {label['max']:.4g}, mean {label['mean']:.4g}"
    return label["name"], label["type"], f"{label['missing']:,}", text


def _groups(what: str, groups: list[list[str]], out: Output) -> None:
    for group in groups[:_SHOWN]:
        out.line(f"{what}: {', '.join(group[:_SHOWN])}" + (", ..." if len(group) > _SHOWN else ""))
    _more(len(groups), f"groups: {what}", out)


def _more(count: int, what: str, out: Output) -> None:
    if count > _SHOWN:
        out.line(f"and {count - _SHOWN:,} more {what}; --json lists all")
