"""The graph under construction: node and edge blocks over global node numbers.

Lowerings add blocks here. Node numbers are unique over the graph, so labels of different blocks can be
concatenated, permuted and split by the model's own operators; only :mod:`wsgraph.lowering.assemble`
turns them into views of blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from wsgraph.errors import LoweringError
from wsgraph.events.blocks import AttrValue, Learned, Pattern
from wsgraph.lowering.pairs import all_to_all
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.ir.graph import Op
    from wsgraph.options import CompileOptions

__all__ = ["BuilderFeature", "Edges", "GraphBuilder", "Nodes"]

BuilderFeature: TypeAlias = ParamValue | Learned


@dataclass(eq=False, slots=True)
class Nodes:
    """A node block under construction.

    Attributes:
        number: position among the blocks, in order of creation.
        base: global number of its first node.
        size: number of nodes.
        t: timestamp, the longest path from the inputs so far.
        features: parameter views ``[size]`` by name.
        attrs: role, scope, activation, ...
        used: True once it is the source of an edge.
        members: global numbers of its nodes where they are not consecutive, after a split.
    """

    number: int
    base: int
    size: int
    t: int
    features: dict[str, ParamValue] = field(default_factory=dict)
    attrs: dict[str, AttrValue] = field(default_factory=dict)
    used: bool = False
    members: Tensor | None = None

    @property
    def ids(self) -> Tensor:
        """Global node numbers ``[size]``."""
        if self.members is not None:
            return self.members
        return torch.arange(self.base, self.base + self.size)


@dataclass(eq=False, slots=True)
class Edges:
    """An edge block under construction; ``src`` holds global node numbers ``[n_src]``."""

    src: Tensor
    dst: Nodes
    pattern: Pattern
    shape: tuple[int, ...]
    feature: BuilderFeature
    attrs: dict[str, AttrValue]
    op: Op | None
    coo: Tensor | None = None


class GraphBuilder:
    """Collects blocks while the operators are lowered one after the other.

    Attributes:
        options: the compiler's options.
        blocks: node blocks in order of creation.
        edges: edge blocks in order of creation.
        op: the operator being lowered; blocks take their scope from it.
        now: latest timestamp of all neurons that go into it. A value with two node axes (MLP-Mixer's tokens
            and channels) is there when both are.
        meetings: pairs of neurons ``[n], [n]`` that a product of activations brings together one by one: a
            query's with its key's, a value's with its result's. Edges say only that their heads meet.
        placed: (nodes ``[n]``, places ``[n, k]``): neurons that differ by what no edge says: those that a
            parameter made of one neuron's positions, and those that meet logits without nodes one by one.
        recurrences: (result, state) node numbers ``[n]``: a step's result, and the nodes that stand for it in
            the next step.
    """

    def __init__(self, options: CompileOptions) -> None:
        self.options = options
        self.blocks: list[Nodes] = []
        self.edges: list[Edges] = []
        self.op: Op | None = None
        self.now = 0
        self.roles: list[tuple[str, Tensor]] = []
        self.meetings: list[tuple[Tensor, Tensor]] = []
        self.placed: list[tuple[Tensor, Tensor]] = []
        self.recurrences: list[tuple[Tensor, Tensor]] = []
        self.keep_alive: list[object] = []
        self.position_blocks: dict[tuple[object, ...], Nodes] = {}
        self._bases: list[int] = []
        self._constant: Nodes | None = None
        self._next = 0

    def add_nodes(
        self,
        size: int,
        *,
        role: str = "hidden",
        t: int = 0,
        features: Mapping[str, ParamValue | None] | None = None,
        bias: ParamValue | None = None,
        **attrs: AttrValue,
    ) -> Nodes:
        """+V: a block of ``size`` nodes.

        Args:
            size: number of nodes.
            role: what they are; see :class:`wsgraph.events.blocks.NodeBlock`.
            t: earliest timestamp; edges into the block move it later.
            features: parameter views ``[size]`` by name; None is left out.
            bias: shorthand for the feature of that name.
            attrs: further attributes.

        Raises:
            LoweringError: there would be no nodes, or a feature's size is not the block's.
        """
        if not size:
            raise LoweringError(f"{self.op!r} makes no neurons at all", remedy="take the empty layer out")
        given = {**(features or {}), "bias": bias}
        kept = {name: view for name, view in given.items() if view is not None}
        for name, view in kept.items():
            if view.shape != (size,):
                raise LoweringError(
                    f"node feature {name!r} of {self.op!r} has shape {list(view.shape)}, expected [{size}]"
                )
        head: dict[str, AttrValue] = {"role": role, **self.place(), **attrs}
        nodes = Nodes(len(self.blocks), self._next, size, t, kept, head)
        self.blocks.append(nodes)
        self._bases.append(self._next)
        self._next += size
        return nodes

    def add_edge_block(  # noqa: PLR0913  an edge block is just these facts, half of them with defaults
        self,
        src: Tensor,
        dst: Nodes,
        feature: BuilderFeature,
        pattern: Pattern,
        shape: tuple[int, ...],
        *,
        ticks: int = 1,
        coo: Tensor | None = None,
        timed: bool = True,
        via: tuple[str, ...] = (),
        opaque: bool = False,
    ) -> None:
        """+E: a block of edges.

        Args:
            src: global node numbers of the sources ``[n_src]``, in the pattern's order.
            dst: destination block.
            feature: parameter view of the given shape, or a learned feature.
            pattern: how pairs are laid out.
            shape: the feature's shape, see :class:`wsgraph.events.blocks.Pattern`.
            ticks: 1 for a layer that mixes neurons by weights, 0 for everything else (DESIGN section 5).
            coo: pairs ``[2, n_edges]`` for an indexed pattern.
            timed: False where the sources are not what the operator takes (tables, an attention's q and
                k behind its logits): then they alone say when.
            via: operators without parameters between the sources' nodes and these edges.
            opaque: True for the edges of an operator that no plugin lowers.

        Raises:
            LoweringError: the feature's shape is not ``shape``, or the destination is in use already.
        """
        if isinstance(feature, ParamValue) and feature.shape != shape:
            raise LoweringError(f"edge feature of {self.op!r} has shape {feature.shape}, expected {shape}")
        if dst.used:
            raise LoweringError(f"{self.op!r} adds edges into a block that other blocks read already")
        blocks = self.blocks_of(src)
        for block in blocks:
            block.used = True
        start = max((b.t for b in blocks), default=0)
        dst.t = max(dst.t, (max(start, self.now) if timed else start) + ticks)
        attrs = self.place()
        if via:
            attrs["via"] = via
        if opaque:
            attrs["opaque"] = True
        self.edges.append(Edges(src, dst, pattern, shape, feature, attrs, self.op, coo))

    def one_to_one(
        self,
        src: Tensor,
        dst: Nodes,
        feature: BuilderFeature,
        *,
        ticks: int = 0,
        timed: bool = True,
        via: tuple[str, ...] = (),
    ) -> None:
        """+E: node i of ``src`` to node i of ``dst``; -1 in ``src`` leaves the pair out."""
        if isinstance(feature, ParamValue):
            feature = feature.apply(lambda t: t.unsqueeze(-1))
        pattern, coo = Pattern.ONE_TO_ONE, None
        if bool((src < 0).any()):
            present = (src >= 0).nonzero().flatten()
            if not len(present):
                return
            pattern, coo = Pattern.INDEXED, torch.stack([torch.arange(len(present)), present])
            if isinstance(feature, ParamValue):
                feature = feature.select(0, present)
            src = src[present]
        shape = (len(src), 1)
        self.add_edge_block(src, dst, feature, pattern, shape, ticks=ticks, coo=coo, timed=timed, via=via)

    def learned(
        self,
        table: Tensor,
        dst: Nodes,
        tag: str,
        *,
        ticks: int = 0,
        timed: bool = True,
        via: tuple[str, ...] = (),
        opaque: bool = False,
    ) -> None:
        """+E: all to all inside each group, one learned vector for all of them.

        Args:
            table: global node numbers ``[groups, n]``, a row a group, where repeats do not count; -1 stands
                for the constant node.
            dst: destination block, ``groups`` consecutive parts of equal size.
            tag: the learned vector's name.
            ticks: as in :meth:`add_edge_block`, as are the others.
            timed: likewise.
            via: likewise.
            opaque: likewise.
        """
        src, shape, coo = all_to_all(self.or_constant(table), dst.size)
        regular = Pattern.DENSE if len(table) == 1 else Pattern.GROUPED
        self.add_edge_block(
            src,
            dst,
            Learned(tag),
            regular if coo is None else Pattern.INDEXED,
            shape,
            ticks=ticks,
            coo=coo,
            timed=timed,
            via=via,
            opaque=opaque,
        )

    @property
    def num_nodes(self) -> int:
        """Global node numbers given out so far."""
        return self._next

    def renumber(self) -> None:
        """Number the blocks anew after a split; creation order stays."""
        for number, block in enumerate(self.blocks):
            block.number = number

    def place(self) -> dict[str, AttrValue]:
        """Scope and operator key of the operator being lowered."""
        if self.op is None:
            return {}
        return {"scope": self.op.scope, "op": self.op.key}

    def block_of(self, node: int) -> Nodes:
        """The block that a global node number belongs to."""
        return self.blocks[bisect_right(self._bases, node) - 1]

    def blocks_of(self, ids: Tensor) -> list[Nodes]:
        """The blocks that these node numbers belong to, in order of creation."""
        if not ids.numel():
            return []
        low, high = self.block_of(int(ids.min())), self.block_of(int(ids.max()))
        if low is high:
            return [low]
        bounds = torch.tensor(self._bases)
        numbers = torch.unique(torch.bucketize(ids.reshape(-1), bounds, right=True) - 1)
        return [self.blocks[int(n)] for n in numbers]

    def time(self, ids: Tensor) -> int:
        """Latest timestamp among these nodes' blocks; 0 for none."""
        return max((b.t for b in self.blocks_of(ids)), default=0)

    def annotate(self, ids: Tensor, name: str, attr: str = "activation") -> None:
        """Note an activation (or pooling) on the blocks that these nodes belong to."""
        for block in self.blocks_of(ids):
            seen = block.attrs.get(attr, ())
            assert isinstance(seen, tuple)
            if name not in seen:
                block.attrs[attr] = (*(str(s) for s in seen), name)

    def mark_role(self, ids: Tensor, role: str) -> None:
        """Say what nodes turned out to be (q, k, v); blocks that hold several roles are split at the end."""
        self.roles.append((role, torch.unique(ids)))

    def or_constant(self, nodes: Tensor) -> Tensor:
        """Node numbers, -1 replaced by the node for padding and other values that no neuron produces."""
        if not bool((nodes < 0).any()):
            return nodes
        if self._constant is None:
            self._constant = self.add_nodes(1, role="constant")
        return torch.where(nodes < 0, self._constant.base, nodes)
