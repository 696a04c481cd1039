"""Export to PyTorch Geometric: the stream of edge additions as ``TemporalData``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.errors import MissingDependencyError
from wsgraph.events.blocks import Learned
from wsgraph.events.scalar_edges import scalar_edges

if TYPE_CHECKING:
    from torch_geometric.data import TemporalData

    from wsgraph.events.stream import EventStream

__all__ = ["to_temporal_data"]


def to_temporal_data(stream: EventStream) -> TemporalData:
    """All scalar edges in order of time.

    ``src`` and ``dst`` ``[E]`` are node numbers in stream order, ``t`` ``[E]`` timestamps, ``msg``
    ``[E, 1]`` (float32) the edges' values, ``block`` ``[E]`` the ids of their blocks, and ``learned`` ``[E]``
    says where an edge's feature is learned; its value is the feature's scale then.

    Raises:
        MissingDependencyError: PyTorch Geometric is not installed.
        StructureError: no weights are bound.
    """
    try:
        from torch_geometric.data import TemporalData
    except ImportError as error:
        raise MissingDependencyError(
            "to_pyg() needs PyTorch Geometric, which is not installed", remedy="pip install 'wsgraph[pyg]'"
        ) from error
    blocks = sorted(stream.edge_blocks, key=lambda edge: edge.t)
    chunks = list(scalar_edges(stream, blocks))
    sizes = torch.tensor([len(chunk.src) for chunk in chunks], dtype=torch.int64)
    empty = torch.empty(0, dtype=torch.int64)

    def spread(values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64).repeat_interleave(sizes)

    return TemporalData(
        src=torch.cat([empty, *(chunk.src for chunk in chunks)]),
        dst=torch.cat([empty, *(chunk.dst for chunk in chunks)]),
        t=spread([chunk.block.t for chunk in chunks]),
        msg=torch.cat([empty.float(), *(chunk.value.float() for chunk in chunks)]).unsqueeze(-1),
        block=spread([chunk.block.id for chunk in chunks]),
        learned=spread([isinstance(chunk.block.feature, Learned) for chunk in chunks]).bool(),
    )
