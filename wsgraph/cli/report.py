"""What ``compile`` and ``inspect`` say about a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.cli.timeline import COLUMNS, timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.cli.output import Output
    from wsgraph.events.stream import EventStream

__all__ = ["describe", "print_report"]


def describe(stream: EventStream, *, read_weights: bool = True) -> dict[str, Any]:
    """Everything the report says, as plain data for JSON.

    Args:
        stream: the stream.
        read_weights: False leaves the weights alone, of which nothing is then known to be finite.
    """
    meta = stream.structure.meta
    return {
        "origin": meta.get("origin", ""),
        "frontend": meta.get("frontend", ""),
        "inputs": _texts(meta.get("inputs", ())),
        "notes": _texts(meta.get("notes", ())),
        "fingerprint": stream.fingerprint,
        "timestamps": stream.num_timestamps,
        "nodes": stream.num_nodes,
        "edges": stream.num_edges,
        "timeline": [step.to_dict() for step in timeline(stream)],
        "ledger": stream.ledger().to_dict(),
        "nonfinite": stream.nonfinite() if read_weights and stream.weights is not None else {},
    }


def print_report(stream: EventStream, report: Mapping[str, Any], out: Output) -> None:
    """The report for people: where it came from, the timeline, the ledger's totals, what is not finite.

    Args:
        stream: the stream.
        report: what :func:`describe` says about it; counting what is not finite reads all weights.
        out: where to print.
    """
    out.line(f"origin       {report['origin']}")
    out.line(f"frontend     {report['frontend']}")
    for given in report["inputs"]:
        out.line(f"input        {given}")
    for note in report["notes"]:
        out.line(f"note         {note}")
    out.line(f"fingerprint  {report['fingerprint']}")
    out.line()
    out.table(COLUMNS, [step.cells() for step in timeline(stream)])
    out.line()
    out.line(
        f"{report['timestamps']:,} timestamps, {report['nodes']:,} nodes, {report['edges']:,} edges "
        "(parallel ones counted)"
    )
    out.line()
    out.line("ledger: every element accounted for once")
    out.line(str(stream.ledger()))
    for name, count in report["nonfinite"].items():
        out.line(f"warning: {name} has {count:,} elements that are NaN or infinite")


def _texts(notes: object) -> list[str]:
    return [str(note) for note in notes] if isinstance(notes, tuple | list) else [str(notes)]
