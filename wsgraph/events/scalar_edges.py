"""Edge blocks spelt out edge by edge, in chunks of bounded size; the exports' common ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import EdgeBlock, NodeView, ParamView, Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wsgraph.events.stream import EventStream
    from wsgraph.events.structure import Structure

__all__ = ["EdgeChunk", "node_offsets", "scalar_edges"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class EdgeChunk:
    """Scalar edges of one block.

    Attributes:
        block: the edge block.
        src: global numbers of the source nodes, ``[n]``; see :func:`node_offsets`.
        dst: global numbers of the destination nodes, ``[n]``.
        parallel: which of the parallel edges of its pair each one is, ``[n]``.
        value: the parameters, ``[n]``; the learned feature's scale where the block is learned.
    """

    block: EdgeBlock
    src: Tensor
    dst: Tensor
    parallel: Tensor
    value: Tensor


def node_offsets(structure: Structure) -> dict[int, int]:
    """For each node block the global number of its first node; nodes are numbered in stream order."""
    offsets, total = {}, 0
    for node in structure.nodes:
        offsets[node.id] = total
        total += node.size
    return offsets


def scalar_edges(
    stream: EventStream, blocks: Iterable[EdgeBlock], chunk: int = _CHUNK
) -> Iterator[EdgeChunk]:
    """Go through blocks edge by edge.

    Args:
        stream: the stream, with weights.
        blocks: edge blocks of it.
        chunk: largest number of edges to make at a time.
    """
    structure = stream.structure
    offsets = node_offsets(structure)
    for block in blocks:
        sources = _global_numbers(block.src, offsets, structure)
        values = stream.feature(block.feature).detach() if isinstance(block.feature, ParamView) else None
        for start in range(0, block.num_edges, chunk):
            flat = torch.arange(start, min(start + chunk, block.num_edges))
            place = torch.unravel_index(flat, block.shape)
            src, dst = _ends(block, place, structure)
            yield EdgeChunk(
                block=block,
                src=sources[src],
                dst=offsets[block.dst] + dst,
                parallel=place[-1],
                value=_learned_value(block, flat) if values is None else values[place].cpu(),
            )


def _global_numbers(view: NodeView, offsets: dict[int, int], structure: Structure) -> Tensor:
    """Global node numbers of a view, ``[view.size]``."""
    parts = [
        torch.arange(offsets[part.block] + part.start, offsets[part.block] + part.stop) for part in view.parts
    ]
    numbers = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
    return numbers if view.index is None else numbers[structure.indices[view.index].long()]


def _ends(block: EdgeBlock, place: tuple[Tensor, ...], structure: Structure) -> tuple[Tensor, Tensor]:
    """Positions in the source view and in the destination block of edges at ``place``."""
    match block.pattern:
        case Pattern.DENSE:
            return place[1], place[0]
        case Pattern.GROUPED:
            _, rows, columns, _ = block.shape
            return place[0] * columns + place[2], place[0] * rows + place[1]
        case Pattern.ONE_TO_ONE:
            return place[0], place[0]
        case Pattern.INDEXED:
            coo = structure.indices[str(block.coo)]
            return coo[0][place[0]], coo[1][place[0]]


def _learned_value(block: EdgeBlock, flat: Tensor) -> Tensor:
    assert not isinstance(block.feature, ParamView)
    return torch.full(flat.shape, float(block.feature.scale))
