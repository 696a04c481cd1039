"""When blocks are added and deleted: Eq. 3 of the paper, and App. F.1 for residual connections.

An edge block lives for its own timestamp. A node block lives as long as it is used in consecutive
timestamps; where it is used again later, it is added again under the same id.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsgraph.events.blocks import EdgeBlock, NodeBlock

__all__ = ["Event", "EventKind", "Lifetime", "Schedule", "make_schedule"]

EventKind = Literal["+V", "+E", "-V", "-E"]


class Event(NamedTuple):
    """One graph update event (Eq. 3) of a whole block.

    Attributes:
        kind: ``+V``, ``+E``, ``-V`` or ``-E``.
        block: id of the node block (V) or edge block (E).
        t: timestamp.
    """

    kind: EventKind
    block: int
    t: int


class Lifetime(NamedTuple):
    """Consecutive timestamps, both ends included, in which a node block is used."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The timeline of a stream.

    Attributes:
        last_t: the last timestamp; nothing is deleted after it.
        lifetimes: for each node block's id, its lifetimes in order of time.
        added: for each timestamp the node blocks' ids to add: those added again, then the new ones.
        removed: for each timestamp the node blocks' ids to delete, in stream order.
        edges: for each timestamp and destination the ids of its edge blocks.
    """

    last_t: int
    lifetimes: dict[int, tuple[Lifetime, ...]]
    added: dict[int, tuple[int, ...]]
    removed: dict[int, tuple[int, ...]]
    edges: dict[int, dict[int, tuple[int, ...]]]

    def events(self) -> Iterator[Event]:
        """All events in order: within a timestamp additions, then ``-V``, then ``-E``."""
        for t in range(self.last_t + 1):
            in_edges = self.edges.get(t, {})
            for node in self.added.get(t, ()):
                yield Event("+V", node, t)
                if self.lifetimes[node][0].first == t:
                    yield from (Event("+E", edge, t) for edge in in_edges.get(node, ()))
            yield from (Event("-V", node, t) for node in self.removed.get(t, ()))
            for ended in self.edges.get(t - 1, {}).values():
                yield from (Event("-E", edge, t) for edge in ended)

    def nodes_alive(self, t: int) -> list[int]:
        """Ids of the node blocks in snapshot G_t, in stream order."""
        return [
            node
            for node, lifetimes in self.lifetimes.items()
            if any(life.first <= t <= life.last for life in lifetimes)
        ]


def make_schedule(nodes: Sequence[NodeBlock], edges: Sequence[EdgeBlock]) -> Schedule:
    """Work out the timeline from the blocks' timestamps.

    Args:
        nodes: node blocks in stream order.
        edges: edge blocks; each at the timestamp of its destination.
    """
    uses: dict[int, set[int]] = {node.id: {node.t} for node in nodes}
    by_time: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for edge in edges:
        uses[edge.dst].add(edge.t)
        for part in edge.src.parts:
            uses[part.block].add(edge.t)
        by_time[edge.t][edge.dst].append(edge.id)
    lifetimes = {node: _consecutive(times) for node, times in uses.items()}
    last_t = max((node.t for node in nodes), default=0)
    again: dict[int, list[int]] = defaultdict(list)
    new: dict[int, list[int]] = defaultdict(list)
    removed: dict[int, list[int]] = defaultdict(list)
    for node, lives in lifetimes.items():
        new[lives[0].first].append(node)
        for life in lives[1:]:
            again[life.first].append(node)
        for life in lives:
            if life.last < last_t:
                removed[life.last + 1].append(node)
    position = {node.id: i for i, node in enumerate(nodes)}
    return Schedule(
        last_t=last_t,
        lifetimes=lifetimes,
        added={t: (*again[t], *new[t]) for t in sorted(new.keys() | again.keys())},
        removed={t: tuple(ids) for t, ids in sorted(removed.items())},
        edges={
            t: {dst: tuple(ids) for dst, ids in sorted(groups.items(), key=lambda item: position[item[0]])}
            for t, groups in sorted(by_time.items())
        },
    )


def _consecutive(times: set[int]) -> tuple[Lifetime, ...]:
    """Split a set of timestamps into its runs of consecutive ones."""
    runs: list[Lifetime] = []
    for t in sorted(times):
        if runs and runs[-1].last == t - 1:
            runs[-1] = Lifetime(runs[-1].first, t)
        else:
            runs.append(Lifetime(t, t))
    return tuple(runs)
