"""The data model of the event stream (DESIGN section 5).

Nodes and edges come in blocks, never one Python object an edge. Blocks hold structure only: shapes,
names and offsets. The numbers stay in the model's own tensors, and a :class:`ParamView` says which of
them a block's features are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AttrValue",
    "Derived",
    "EdgeBlock",
    "Feature",
    "Learned",
    "NodeBlock",
    "NodeSlice",
    "NodeView",
    "ParamView",
    "Pattern",
]

AttrValue: TypeAlias = str | int | float | bool | tuple[str, ...] | tuple[int, ...]
"""What a block's attribute may hold: plain data that survives a trip through JSON."""


class Pattern(StrEnum):
    """How the pairs (i, j) of an edge block are laid out; the feature's shape in brackets.

    ``m`` is the number of parallel edges of a pair: kernel positions, virtual vertices, coefficients.
    """

    DENSE = "dense"
    """[n_dst, n_src, m]: every source to every destination."""
    GROUPED = "grouped"
    """[g, n_dst/g, n_src/g, m]: dense inside each of g consecutive groups."""
    ONE_TO_ONE = "one_to_one"
    """[n, m]: source i to destination i."""
    INDEXED = "indexed"
    """[n_edges, m]: pair e goes from ``coo[0, e]`` (a position in ``src``) to ``coo[1, e]``."""


@dataclass(frozen=True, slots=True)
class ParamView:
    """Which elements of one tensor a feature consists of.

    Either a zero-copy strided view (``strides`` and ``offset``, in elements, as ``torch.as_strided``
    takes them over the *contiguous* tensor) or, where no strides fit, the name of an index tensor of
    flat element positions with the view's own shape (-1 is a structural zero).

    Attributes:
        name: the tensor's name in the state dict, or a derived tensor's name.
        shape: the feature's shape.
        strides: elements between neighbours, a dimension; None when ``index`` is set.
        offset: first element; 0 when ``index`` is set.
        index: name of the index tensor, or None.
    """

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    offset: int = 0
    index: str | None = None

    @property
    def numel(self) -> int:
        """Number of scalars in the feature."""
        return math.prod(self.shape)

    def resolve(self, tensor: Tensor, indices: Mapping[str, Tensor]) -> Tensor:
        """The feature's values, ``[*shape]``: a view of ``tensor`` where strides fit, else a gather."""
        ordered = tensor.contiguous()
        if self.index is None:
            assert self.strides is not None
            return torch.as_strided(ordered, self.shape, self.strides, ordered.storage_offset() + self.offset)
        index, flat = indices[self.index].to(tensor.device, torch.int64), ordered.view(-1)
        return torch.where(index >= 0, flat[index.clamp(min=0)], flat.new_zeros(()))

    def elements(self, indices: Mapping[str, Tensor]) -> Tensor:
        """Flat element positions ``[*shape]`` (int64) that the view reads; -1 for structural zeros."""
        if self.index is not None:
            return indices[self.index].long()
        assert self.strides is not None
        out = torch.full((), self.offset, dtype=torch.int64)
        for size, stride in zip(self.shape, self.strides, strict=True):
            out = out.unsqueeze(-1) + torch.arange(size, dtype=torch.int64) * stride
        return out


@dataclass(frozen=True, slots=True)
class Learned:
    """A feature that encoders learn: one vector a tag, times ``scale`` (App. F.1, F.2).

    Attributes:
        tag: ``residual``, ``query``, ``key``, ``value``, ``gate``, ``reduce``, ...
        scale: for a residual the number of timestamps spanned, r in e = theta_res * r.
    """

    tag: str
    scale: float = 1.0


Feature: TypeAlias = ParamView | Learned


@dataclass(frozen=True, slots=True)
class Derived:
    """A tensor computed from parameters, such as a weight-normed weight.

    Attributes:
        name: its name among the tensors (``__wsgraph__.derived.<k>``).
        shape: its shape.
        sources: names of the parameters and buffers that it is computed from.
        recipe: the computation as text, one operator a line in the IR's own syntax.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...]
    recipe: str


@dataclass(frozen=True, slots=True)
class NodeSlice:
    """Nodes ``start`` to ``stop`` (exclusive) of one node block."""

    block: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class NodeView:
    """Nodes in an order: a block, a slice of one, a concatenation, or a gather from one of those.

    Attributes:
        parts: the slices, concatenated in order.
        size: number of nodes in the view.
        index: name of an index tensor ``[size]`` into the concatenation, or None for all of it in order.
    """

    parts: tuple[NodeSlice, ...]
    size: int
    index: str | None = None


@dataclass(frozen=True, slots=True)
class NodeBlock:
    """A set of nodes that appear together, one a neuron (+V of Eq. 3).

    Attributes:
        id: number of the block, unique in the stream.
        size: number of nodes.
        t: timestamp at which the block is first added.
        features: named views ``[size]`` (``bias``; ``running_mean``, ``running_var`` for BatchNorm).
        attrs: ``scope`` (place in the module tree), ``role`` (``input``, ``hidden``, ``output``, ``q``,
            ``k``, ``v``, ``z``, ``logits``, ``position``, ``sum``, ``product``, ...), ``activation``,
            ``sites`` (positions that each node takes), ``op`` (the operator that made it).
    """

    id: int
    size: int
    t: int
    features: Mapping[str, ParamView] = field(default_factory=dict)
    attrs: Mapping[str, AttrValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EdgeBlock:
    """A set of edges that live together for one timestamp (+E of Eq. 3).

    Attributes:
        id: number of the block, unique among edge blocks.
        src: source nodes.
        dst: id of the destination block; always the whole block, in its order.
        t: timestamp; the one at which ``dst`` is first added.
        pattern: how pairs are laid out; fixes the feature's shape, see :class:`Pattern`.
        shape: the feature's shape, for learned features too.
        feature: parameter view or learned vector.
        attrs: ``scope``, ``op``, ``via`` (what was applied between source and edge: activation, pooling).
        coo: name of the index tensor ``[2, n_edges]`` (int64) when the pattern is ``indexed``.
    """

    id: int
    src: NodeView
    dst: int
    t: int
    pattern: Pattern
    shape: tuple[int, ...]
    feature: Feature
    attrs: Mapping[str, AttrValue] = field(default_factory=dict)
    coo: str | None = None

    @property
    def num_edges(self) -> int:
        """Number of scalar edges, parallel ones counted."""
        return math.prod(self.shape)

    @property
    def multiplicity(self) -> int:
        """Parallel edges a pair, ``m``."""
        return self.shape[-1]
