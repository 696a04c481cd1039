"""Pairs of neurons that an edge block connects, and the parameter elements between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import EdgeBlock, ParamView, Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.lowering.builder import Edges

__all__ = ["Pair", "find_pair", "other_pair", "view_elements"]


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """Source neuron i and destination neuron j of an edge block.

    Attributes:
        src: i, position in the edge block's sources.
        dst: j, position in the destination block.
        src_node: i's global number.
        dst_node: j's global number.
        elements: flat positions of all parameters between them, parallel edges together; none if learned.
    """

    src: int
    dst: int
    src_node: int
    dst_node: int
    elements: Tensor


def find_pair(
    edge: EdgeBlock, origin: Edges, indices: Mapping[str, Tensor], generator: torch.Generator
) -> Pair:
    """A pair of an edge block, drawn at random."""
    shape = edge.shape[:-1]
    flat = int(torch.randint(torch.Size(shape).numel(), (), generator=generator))
    at = [int(k) for k in torch.unravel_index(torch.tensor(flat), shape)]
    src, dst = _ends(edge, origin, at)
    node = int(origin.src[src])
    same = (origin.src == node).nonzero().flatten()
    elements = torch.zeros(0, dtype=torch.int64)
    if isinstance(edge.feature, ParamView):
        parts = [view_elements(edge.feature, p, indices) for p in _prefixes(edge, origin, same, dst)]
        elements = torch.unique(torch.cat(parts))
    return Pair(src, dst, node, int(origin.dst.ids[dst]), elements[elements >= 0])


def other_pair(
    pair: Pair, edge: EdgeBlock, origin: Edges, indices: Mapping[str, Tensor], generator: torch.Generator
) -> Pair | None:
    """Another pair of the block that shares no parameter with this one; None if a few draws find none."""
    for _ in range(8):
        other = find_pair(edge, origin, indices, generator)
        if len(other.elements) and not bool(torch.isin(other.elements, pair.elements).any()):
            return other
    return None


def _ends(edge: EdgeBlock, origin: Edges, at: list[int]) -> tuple[int, int]:
    """Positions of source and destination of the pair at one place in the feature."""
    match edge.pattern:
        case Pattern.DENSE:
            return at[1], at[0]
        case Pattern.ONE_TO_ONE:
            return at[0], at[0]
        case Pattern.GROUPED:
            _, n_dst, n_src, _ = edge.shape
            return at[0] * n_src + at[2], at[0] * n_dst + at[1]
        case Pattern.INDEXED:
            assert origin.coo is not None
            return int(origin.coo[0, at[0]]), int(origin.coo[1, at[0]])


def _prefixes(edge: EdgeBlock, origin: Edges, sources: Tensor, dst: int) -> list[tuple[int, ...]]:
    """Places in the feature, without the last dimension, of all edges from some sources to ``dst``."""
    match edge.pattern:
        case Pattern.DENSE:
            return [(dst, s) for s in sources.tolist()]
        case Pattern.ONE_TO_ONE:
            return [(dst,)]
        case Pattern.GROUPED:
            _, n_dst, n_src, _ = edge.shape
            group = dst // n_dst
            own = [s for s in sources.tolist() if s // n_src == group]
            return [(group, dst % n_dst, s % n_src) for s in own]
        case Pattern.INDEXED:
            assert origin.coo is not None
            hits = torch.isin(origin.coo[0], sources) & (origin.coo[1] == dst)
            return [(e,) for e in hits.nonzero().flatten().tolist()]


def view_elements(view: ParamView, prefix: tuple[int, ...], indices: Mapping[str, Tensor]) -> Tensor:
    """Flat element positions of a view below the leading indices ``prefix``, flattened."""
    if view.index is not None:
        return indices[view.index][prefix].long().reshape(-1)
    assert view.strides is not None
    start = view.offset + sum(k * s for k, s in zip(prefix, view.strides, strict=False))
    rest = ParamView(view.name, view.shape[len(prefix) :], view.strides[len(prefix) :], start)
    return rest.elements(indices).reshape(-1)
