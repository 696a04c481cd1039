"""Export to polars: a table of the events, or of all scalar edges in bounded pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.events.blocks import Learned
from wsgraph.events.scalar_edges import scalar_edges
from wsgraph.events.text import feature_text, node_view_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from wsgraph.events.schedule import Event
    from wsgraph.events.stream import EventStream
    from wsgraph.events.structure import Structure

__all__ = ["edge_tables", "event_table"]


def event_table(structure: Structure) -> pl.DataFrame:
    """One row an event: what happens to which block at which timestamp.

    Columns: ``t``, ``event``, ``block``, ``size`` (nodes, or scalar edges), ``role``, ``scope``, and for
    edges ``src``, ``dst``, ``pattern``, ``parallel``, ``feature``.
    """
    import polars as pl

    columns = {"t": pl.Int64, "event": pl.String, "block": pl.Int64, "size": pl.Int64, "role": pl.String}
    columns |= {"scope": pl.String, "src": pl.String, "dst": pl.Int64, "pattern": pl.String}
    columns |= {"parallel": pl.Int64, "feature": pl.String}
    rows = [_row(event, structure) for event in structure.schedule.events()]
    return pl.DataFrame(rows, schema=columns)


def _row(event: Event, structure: Structure) -> dict[str, Any]:
    row: dict[str, Any] = {"t": event.t, "event": event.kind, "block": event.block}
    if event.kind.endswith("V"):
        node = structure.node_by_id[event.block]
        features = ", ".join(f"{name}={feature_text(view)}" for name, view in node.features.items())
        return row | {
            "size": node.size,
            "role": node.attrs.get("role"),
            "scope": node.attrs.get("scope"),
            "feature": features or None,
        }
    edge = structure.edge_by_id[event.block]
    return row | {
        "size": edge.num_edges,
        "scope": edge.attrs.get("scope"),
        "src": node_view_text(edge.src, structure),
        "dst": edge.dst,
        "pattern": str(edge.pattern),
        "parallel": edge.multiplicity,
        "feature": feature_text(edge.feature),
    }


def edge_tables(stream: EventStream) -> Iterator[pl.DataFrame]:
    """One row a scalar edge, in order of time, in tables of at most about a million rows.

    Columns: ``t``, ``block``, ``src``, ``dst`` (node numbers in stream order), ``parallel``, ``value``
    (Float64, which holds every dtype's numbers; a learned feature's scale) and ``learned`` (tag or null).
    """
    import polars as pl

    for chunk in scalar_edges(stream, sorted(stream.edge_blocks, key=lambda edge: edge.t)):
        block = chunk.block
        tag = block.feature.tag if isinstance(block.feature, Learned) else None
        yield pl.DataFrame(
            {
                "src": chunk.src.numpy(),
                "dst": chunk.dst.numpy(),
                "parallel": chunk.parallel.numpy(),
                "value": chunk.value.double().cpu().numpy(),
            }
        ).select(
            pl.lit(block.t, dtype=pl.Int64).alias("t"),
            pl.lit(block.id, dtype=pl.Int64).alias("block"),
            pl.all(),
            pl.lit(tag, dtype=pl.String).alias("learned"),
        )
