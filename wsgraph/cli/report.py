"""What ``compile`` and ``inspect`` say about a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.cli.timeline import COLUMNS, timeline

if TYPE_CHECKING:
    from wsgraph.cli.output import Output
    from wsgraph.events.stream import EventStream

__all__ = ["describe", "print_report"]


def describe(stream: EventStream) -> dict[str, Any]:
    """Everything the report says, as plain data for JSON."""
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
        "nonfinite": _nonfinite(stream),
    }


def print_report(stream: EventStream, out: Output) -> None:
    """The report for people: where it came from, the timeline, the ledger's totals, what is not finite."""
    meta = stream.structure.meta
    out.line(f"origin       {meta.get('origin', '')}")
    out.line(f"frontend     {meta.get('frontend', '')}")
    for given in _texts(meta.get("inputs", ())):
        out.line(f"input        {given}")
    for note in _texts(meta.get("notes", ())):
        out.line(f"note         {note}")
    out.line(f"fingerprint  {stream.fingerprint}")
    out.line()
    out.table(COLUMNS, [step.cells() for step in timeline(stream)])
    out.line()
    out.line(
        f"{stream.num_timestamps:,} timestamps, {stream.num_nodes:,} nodes, {stream.num_edges:,} edges "
        "(parallel ones counted)"
    )
    out.line()
    out.line("ledger: every element accounted for once")
    out.line(str(stream.ledger()))
    for name, count in _nonfinite(stream).items():
        out.line(f"warning: {name} has {count:,} elements that are NaN or infinite")


def _texts(notes: object) -> list[str]:
    return [str(note) for note in notes] if isinstance(notes, tuple | list) else [str(notes)]


def _nonfinite(stream: EventStream) -> dict[str, int]:
    return stream.nonfinite() if stream.weights is not None else {}
