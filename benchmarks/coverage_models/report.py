"""The table in docs/coverage.md."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from coverage_models.timm_families import FURTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["markdown", "summary", "verdict"]

GROUPS = {
    "timm": "timm module families (smallest model of each)",
    FURTHER: "other timm models that were tried",
    "torchvision": "torchvision models",
    "transformers": "transformers, tiny configurations",
    "classics": "torch's own modules and well-known networks",
}
HEAD = """# Coverage

Written by `python benchmarks/coverage.py`; do not edit. Networks are built without downloads, their large
parameters without values (`wsgraph.frontends.skeleton`), and compiled in a process of their own with a limit
of time and memory. Seconds are processor time of `wsgraph.compile`, tracing included, on one thread. The
ledger's columns count parameter elements: lowered, derived (a weight computed from parameters), tied and
unused (never reached from the output). A network with an opaque parameter counts as not covered.

`wsgraph verify` is run on each with random weights (one sample of each block and operator): the ledger, the
round trip through a file, the influence of neurons along edges and nowhere else, and the symmetries, by
running the model in float64. A network whose proof needs more time or memory than the limit has a dash.
"""
FURTHER_HEAD = """Compiled only. Timestamps and edges are the largest among them, seconds are of all together.

| family | compiled | timestamps | edges | seconds | models |
|---|--:|--:|--:|--:|---|"""
COLUMNS = (
    "| family | model | frontend | timestamps | nodes | edges | lowered | derived | tied | unused | seconds "
    "| verified |"
)


def verdict(row: dict[str, Any]) -> str:
    """What the proof of a network says, in a word or two."""
    proof = row.get("proof", {})
    if "error" in proof:
        return "-"
    if not proof:
        return ""
    return "ok" if proof["ok"] else "FAILED"


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """``timm 98/98 (of 90 proofs 90 hold), ...``: networks of each group without opaque parameters."""
    parts = []
    for group in GROUPS:
        own = [row for row in rows if row["group"] == group]
        if own:
            proved = [row["proof"] for row in own if "ok" in row.get("proof", {})]
            said = f" (of {len(proved)} proofs {sum(p['ok'] for p in proved)} hold)" if proved else ""
            parts.append(f"{group} {sum(map(compiled, own))}/{len(own)}{said}")
    return ", ".join(parts)


def compiled(row: dict[str, Any]) -> bool:
    """Whether the network compiled with every parameter in place."""
    return "error" not in row and not row["ledger"]["opaque"]


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The whole page."""
    parts = [HEAD, f"In all: {summary(rows)}.\n"]
    for group, title in GROUPS.items():
        own = [row for row in rows if row["group"] == group]
        if not own:
            continue
        parts.append(f"## {title}: {sum(map(compiled, own))} of {len(own)}\n")
        good = [row for row in own if compiled(row)]
        if group == FURTHER:
            parts.append("\n".join([FURTHER_HEAD, *_families(good)]) + "\n")
        else:
            rule = "|---|---|---|" + "--:|" * 8 + "---|"
            parts.append("\n".join([COLUMNS, rule, *map(_line, good)]) + "\n")
        parts.extend(f"- `{row['name']}`: {why}\n" for row in good for why in _doubts(row))
        bad = [f"- `{row['name']}` ({row['family']}): {_reason(row)}" for row in own if not compiled(row)]
        if bad:
            parts.append("\n".join(["Not covered:", "", *bad]) + "\n")
    return "\n".join(parts)


def _families(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line a family."""
    lines = []
    for family, group in groupby(sorted(rows, key=lambda r: (r["family"], r["name"])), lambda r: r["family"]):
        own = list(group)
        most = [max(row[key] for row in own) for key in ("timestamps", "edges")]
        cells = [family, len(own), *(f"{n:,}" for n in most), f"{sum(row['seconds'] for row in own):.1f}"]
        lines.append(f"| {' | '.join(map(str, cells))} | {', '.join(row['name'] for row in own)} |")
    return lines


def _line(row: dict[str, Any]) -> str:
    ledger = row["ledger"]
    numbers = (row["timestamps"], row["nodes"], row["edges"])
    accounts = (ledger[status] for status in ("lowered", "derived", "tied", "unused"))
    cells = [row["family"], row["name"], row["frontend"], *(f"{n:,}" for n in (*numbers, *accounts))]
    return f"| {' | '.join(cells)} | {row['seconds']:.2f} | {verdict(row)} |"


def _doubts(row: dict[str, Any]) -> list[str]:
    """Why a network was not proved."""
    proof = row.get("proof", {})
    if "error" in proof:
        return [f"no proof: {proof['error']}"]
    return list(proof.get("failed", ()))


def _reason(row: dict[str, Any]) -> str:
    if "error" in row:
        return str(row["error"]).replace("|", "\\|")
    return f"{row['ledger']['opaque']:,} parameter elements are opaque"
