"""The event stream: a structure with weights under it (DESIGN sections 5 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, overload

from wsgraph.errors import StructureError
from wsgraph.events.derived import evaluate
from wsgraph.events.ledger import Ledger, make_ledger
from wsgraph.events.networkx_export import to_networkx
from wsgraph.events.pyg_export import to_temporal_data
from wsgraph.events.save import save_stream
from wsgraph.events.table_export import edge_tables, event_table
from wsgraph.events.text import events_text
from wsgraph.events.weights import check_weights, count_nonfinite, stored_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    import networkx as nx
    import polars as pl
    from torch import Tensor
    from torch_geometric.data import TemporalData

    from wsgraph.events.blocks import EdgeBlock, NodeBlock, ParamView
    from wsgraph.events.schedule import Event
    from wsgraph.events.structure import Structure

__all__ = ["EventStream", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is alive at one timestamp: the graph G_t of Eq. 3.

    Attributes:
        t: the timestamp.
        node_blocks: its node blocks, in stream order.
        edge_blocks: its edge blocks.
    """

    t: int
    node_blocks: tuple[NodeBlock, ...]
    edge_blocks: tuple[EdgeBlock, ...]


class EventStream:
    """A network as a stream of graph events.

    Args:
        structure: blocks and tensor specifications.
        weights: the model's tensors by name, or None for a structure alone. They are kept as they are,
            never copied; a tied tensor may be missing where the one that it is tied to is there.
        trusted: the structure has been validated and the weights checked before.

    Raises:
        StructureError: the structure contradicts itself.
        CheckpointError: the weights do not fit the structure.
    """

    def __init__(
        self, structure: Structure, weights: Mapping[str, Tensor] | None = None, *, trusted: bool = False
    ) -> None:
        if not trusted:
            structure.validate()
            if weights is not None:
                check_weights(structure, weights)
        self.structure = structure
        self._weights = weights
        self._derived: dict[str, Tensor] = {}

    def __repr__(self) -> str:
        return (
            f"EventStream({len(self.node_blocks)} node blocks with {self.num_nodes:,} nodes, "
            f"{len(self.edge_blocks)} edge blocks with {self.num_edges:,} edges, "
            f"{self.num_timestamps} timestamps, {'no' if self._weights is None else 'with'} weights)"
        )

    @property
    def node_blocks(self) -> tuple[NodeBlock, ...]:
        """All node blocks, in topological order."""
        return self.structure.nodes

    @property
    def edge_blocks(self) -> tuple[EdgeBlock, ...]:
        """All edge blocks."""
        return self.structure.edges

    @property
    def num_nodes(self) -> int:
        """Number of nodes (neurons), each counted once."""
        return sum(node.size for node in self.node_blocks)

    @property
    def num_edges(self) -> int:
        """Number of scalar edges, parallel ones counted."""
        return sum(edge.num_edges for edge in self.edge_blocks)

    @property
    def num_timestamps(self) -> int:
        """Number of timestamps after t = 0: inference steps of the network."""
        return self.structure.schedule.last_t

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the structure: the same for all checkpoints of one architecture."""
        return self.structure.fingerprint

    @property
    def weights(self) -> Mapping[str, Tensor] | None:
        """The bound tensors by name, or None where there are none; tied ones may be missing."""
        return self._weights

    def events(self) -> Iterator[Event]:
        """All events in order: within a timestamp additions, then deletions."""
        return self.structure.schedule.events()

    def snapshot(self, t: int) -> Snapshot:
        """What is alive at timestamp ``t``.

        Raises:
            StructureError: there is no such timestamp.
        """
        if not 0 <= t <= self.num_timestamps:
            raise StructureError(f"there is no timestamp {t}, expected 0 to {self.num_timestamps}")
        nodes = tuple(self.structure.node_by_id[node] for node in self.structure.schedule.nodes_alive(t))
        return Snapshot(t, nodes, tuple(edge for edge in self.edge_blocks if edge.t == t))

    def text(self) -> str:
        """The events as text, one line an event, grouped by timestamp."""
        return events_text(self.structure)

    def ledger(self) -> Ledger:
        """Account for every element of the model's tensors.

        Raises:
            LedgerError: a parameter element would be lost.
        """
        return make_ledger(self.structure)

    def feature(self, view: ParamView) -> Tensor:
        """The numbers of a block's feature, ``[*view.shape]``: a view of the weights where strides fit.

        Raises:
            StructureError: no weights are bound, or a derived tensor cannot be computed.
        """
        return view.resolve(self._tensor(view.name), self.structure.indices)

    def _bound(self) -> Mapping[str, Tensor]:
        if self._weights is None:
            origin = self.structure.meta.get("origin", "an unknown source")
            raise StructureError(
                f"this event stream has no weights; it was compiled from {origin}",
                remedy="give it some: stream = stream.bind(state_dict)",
            )
        return self._weights

    def _tensor(self, name: str) -> Tensor:
        derived = self.structure.derived.get(name)
        if derived is None:
            return stored_tensor(self.structure, self._bound(), name)
        if name not in self._derived:
            constants = self.structure.indices
            sources = {
                source: constants[source] if source in constants else self._tensor(source)
                for source in derived.sources
            }
            self._derived[name] = evaluate(derived, sources)
        return self._derived[name]

    def state_dict(self) -> dict[str, Tensor]:
        """The original state dict, bit for bit: all names, buffers and tied ones included.

        Raises:
            StructureError: no weights are bound.
        """
        weights = self._bound()
        return {name: stored_tensor(self.structure, weights, name) for name in self.structure.tensors}

    def bind(self, state_dict: Mapping[str, Tensor]) -> EventStream:
        """This structure with another checkpoint's weights under it; nothing is copied or traced again.

        Dtypes may differ from those that the structure was compiled with.

        Raises:
            CheckpointError: names or shapes do not fit.
        """
        check_weights(self.structure, state_dict)
        return EventStream(self.structure, state_dict, trusted=True)

    def nonfinite(self) -> dict[str, int]:
        """Tensors with NaN or infinite elements, and how many; reads all weights.

        Raises:
            StructureError: no weights are bound.
        """
        counts = {
            name: count_nonfinite(tensor)
            for name, tensor in self.state_dict().items()
            if self.structure.tensors[name].tied_to is None
        }
        return {name: count for name, count in counts.items() if count}

    def save(self, path: str | PathLike[str], weights: bool = True) -> None:
        """Write a ``.wsg`` file, whole or not at all.

        Args:
            path: where to; an existing file is replaced once the new one is complete.
            weights: False leaves the structure, and where its weights came from.

        Raises:
            FileFormatError: the file cannot be written, or holds something the format has no place for.
            StructureError: no weights are bound.
        """
        save_stream(path, self.structure, self._bound() if weights else None)

    def to_networkx(self, t: int | None = None) -> nx.MultiDiGraph:
        """A networkx graph of snapshot ``t``, or of all blocks; see :func:`to_networkx`."""
        return to_networkx(self, None if t is None else self.snapshot(t))

    def to_pyg(self) -> TemporalData:
        """A PyTorch Geometric ``TemporalData``; see :func:`to_temporal_data`."""
        return to_temporal_data(self)

    @overload
    def to_table(self, edges: Literal[False] = False) -> pl.DataFrame: ...
    @overload
    def to_table(self, edges: Literal[True]) -> Iterator[pl.DataFrame]: ...
    def to_table(self, edges: bool = False) -> pl.DataFrame | Iterator[pl.DataFrame]:
        """A polars table with a row an event, or tables of bounded size with a row a scalar edge."""
        return edge_tables(self) if edges else event_table(self.structure)
