"""The timeline: what a stream adds at each timestamp."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsgraph.events.stream import EventStream

__all__ = ["COLUMNS", "Step", "timeline"]

COLUMNS = ("#t", "scope", "role", "#nodes", "#edges")

_SHOWN = 3


@dataclass(slots=True)
class Step:
    """One timestamp.

    Attributes:
        t: the timestamp.
        scopes: places in the module tree whose nodes first appear, in stream order.
        roles: their roles.
        nodes: number of nodes that first appear.
        edges: number of scalar edges, parallel ones counted.
    """

    t: int
    scopes: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    nodes: int = 0
    edges: int = 0

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "t": self.t,
            "scopes": self.scopes,
            "roles": self.roles,
            "nodes": self.nodes,
            "edges": self.edges,
        }

    def cells(self) -> tuple[str, ...]:
        """The step as a row under :data:`COLUMNS`."""
        return (
            str(self.t),
            _shortened(self.scopes),
            _shortened(self.roles),
            f"{self.nodes:,}",
            f"{self.edges:,}",
        )


def timeline(stream: EventStream) -> list[Step]:
    """What the stream adds, a timestamp at a time, from the input at t=0."""
    steps = {t: Step(t) for t in range(stream.num_timestamps + 1)}
    for node in stream.node_blocks:
        step = steps[node.t]
        step.nodes += node.size
        _append(step.scopes, node.attrs.get("scope"))
        _append(step.roles, node.attrs.get("role"))
    for edge in stream.edge_blocks:
        steps[edge.t].edges += edge.num_edges
    return list(steps.values())


def _append(names: list[str], name: object) -> None:
    text = str(name or "")
    if text and text not in names:
        names.append(text)


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(_cut(names))


def _cut(names: Sequence[str]) -> Iterator[str]:
    yield from names[:_SHOWN]
    if len(names) > _SHOWN:
        yield f"and {len(names) - _SHOWN} more"
