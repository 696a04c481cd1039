"""From blocks over global node numbers to the stream's structure: splits, order, views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import (
    AttrValue,
    Derived,
    EdgeBlock,
    Feature,
    Learned,
    NodeBlock,
    NodeSlice,
    NodeView,
    ParamView,
    Pattern,
)
from wsgraph.lowering.split import split_blocks

if TYPE_CHECKING:
    from wsgraph.lowering.builder import BuilderFeature, Edges, GraphBuilder, Nodes
    from wsgraph.lowering.driver import Lowered
    from wsgraph.provenance.params import ParamValue

__all__ = ["Assembled", "assemble"]

INDEX_PREFIX = "view."
CONSTANT_PREFIX = "__wsgraph__.constant."
"""Apart from every name that a model's tensor may have: a recipe names both."""


@dataclass(eq=False, slots=True)
class Assembled:
    """The blocks of the stream, and the tensors they name.

    Attributes:
        nodes: node blocks in the stream's order.
        edges: edge blocks, those into one node block after one another.
        indices: index tensors by name.
        derived: derived tensors that features name.
        origin: for each edge block's id, the builder's edges it came from.
        key: ``_STRIDE`` times the block id plus the position of each global node number, ``[n]``; -1 for
            nodes that the stream does not have.
        members: global numbers of each block's nodes, in order.
    """

    nodes: tuple[NodeBlock, ...]
    edges: tuple[EdgeBlock, ...]
    indices: dict[str, Tensor]
    derived: dict[str, Derived]
    origin: dict[int, Edges]
    key: Tensor
    members: tuple[Tensor, ...]

    def places(self, ids: Tensor) -> Tensor:
        """Block id and position of nodes by their global numbers ``[k]``: ``[k, 2]``."""
        key = self.key[ids]
        return torch.stack([key // _STRIDE, key % _STRIDE], 1)


_STRIDE = 1 << 32
"""More than any block has nodes."""


class _Assembler:
    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.indices: dict[str, Tensor] = {}
        self.derived: dict[str, Derived] = {}

    def run(self) -> Assembled:
        builder = self.lowered.builder
        split_blocks(builder)
        kept = _live_blocks(builder)
        order = sorted(kept, key=lambda b: (b.t, b.number))
        number = {id(b): k for k, b in enumerate(order)}
        key = torch.full((builder.num_nodes,), -1)
        for block in order:
            first = number[id(block)] * _STRIDE
            key.index_copy_(0, block.ids, torch.arange(first, first + block.size))
        nodes = tuple(self.node(b, number[id(b)]) for b in order)
        edges: list[EdgeBlock] = []
        origin: dict[int, Edges] = {}
        for e in sorted(builder.edges, key=lambda e: number[id(e.dst)]):
            edge = self.edge(e, len(edges), number[id(e.dst)], key)
            origin[edge.id] = e
            edges.append(edge)
        members = tuple(block.ids for block in order)
        return Assembled(nodes, tuple(edges), self.indices, self.derived, origin, key, members)

    def node(self, block: Nodes, number: int) -> NodeBlock:
        zero = self.lowered.origins.is_zero
        features = {name: self.view(view) for name, view in sorted(block.features.items()) if not zero(view)}
        return NodeBlock(number, block.size, block.t, features, _attrs(block.attrs))

    def edge(self, e: Edges, number: int, dst: int, key: Tensor) -> EdgeBlock:
        coo = None if e.coo is None else self.index(e.coo)
        return EdgeBlock(
            number,
            self.node_view(key[e.src]),
            dst,
            e.dst.t,
            Pattern(e.pattern),
            e.shape,
            self.feature(e.feature),
            _attrs(e.attrs),
            coo,
        )

    def feature(self, feature: BuilderFeature) -> Feature:
        return feature if isinstance(feature, Learned) else self.view(feature)

    def view(self, p: ParamValue) -> ParamView:
        p = self.lowered.origins.resolve(p)
        name = self.lowered.graph.ties.get(p.name, p.name)
        if p.name in self.lowered.deriver.values and p.name not in self.derived:
            self.derived[p.name] = self.lowered.deriver.recipe(p.name, self.lowered.graph, self.keep)
        if p.view is not None:
            strides = tuple(0 if n == 1 else s for n, s in zip(p.shape, p.view.stride(), strict=True))
            return ParamView(name, p.shape, strides, int(p.view.storage_offset()))
        assert p.index is not None
        return ParamView(name, p.shape, None, 0, self.index(p.index))

    def keep(self, tensor: Tensor) -> str:
        """Store a recipe's constant."""
        for name, known in self.indices.items():
            alike = name.startswith(CONSTANT_PREFIX) and known.dtype == tensor.dtype
            if alike and torch.equal(known, tensor):
                return name
        name = f"{CONSTANT_PREFIX}{len(self.indices)}"
        self.indices[name] = tensor.contiguous()
        return name

    def index(self, tensor: Tensor) -> str:
        name = f"{INDEX_PREFIX}{len(self.indices)}"
        small = tensor.numel() == 0 or int(tensor.max()) < 2**31
        self.indices[name] = tensor.to(torch.int32 if small else torch.int64).contiguous()
        return name

    def node_view(self, key: Tensor) -> NodeView:
        """Consecutive runs become slices; anything else is gathered from its blocks.

        Args:
            key: of each node, ``[n]``; see :class:`Assembled`.
        """
        breaks = ((key.diff() != 1).nonzero().flatten() + 1).tolist()
        size = len(key)
        if len(breaks) < max(8, size // 8):
            runs = zip([0, *breaks], [*breaks, size], strict=True)
            found = [(*divmod(int(key[a]), _STRIDE), b - a) for a, b in runs]
            return NodeView(tuple(NodeSlice(block, at, at + n) for block, at, n in found), size)
        blocks, positions = key // _STRIDE, key % _STRIDE
        used = torch.unique(blocks)
        low = torch.stack([positions[blocks == b].min() for b in used])
        high = torch.stack([positions[blocks == b].max() for b in used]) + 1
        before = torch.cat([torch.zeros(1, dtype=torch.int64), (high - low).cumsum(0)[:-1]])
        which = torch.searchsorted(used, blocks.contiguous())
        index = before[which] + positions - low[which]
        parts = tuple(NodeSlice(int(b), int(lo), int(hi)) for b, lo, hi in zip(used, low, high, strict=True))
        return NodeView(parts, size, self.index(index))


def _live_blocks(builder: GraphBuilder) -> list[Nodes]:
    """Blocks with an edge or a feature; an input that nothing reads has neither but stays."""
    touched = {id(e.dst) for e in builder.edges}
    return [
        b
        for b in builder.blocks
        if id(b) in touched or b.used or b.features or b.attrs.get("role") == "input"
    ]


def _attrs(attrs: dict[str, AttrValue]) -> dict[str, AttrValue]:
    return {k: v for k, v in attrs.items() if v not in ("", ())}


def assemble(lowered: Lowered) -> Assembled:
    """The stream's blocks, from the lowered graph."""
    return _Assembler(lowered).run()
