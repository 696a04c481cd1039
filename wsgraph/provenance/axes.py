"""Axis labels: which neuron, or which position, an element of an activation belongs to (DESIGN section 4).

Every activation carries, for each of its axes, an integer tensor of the activation's own shape. For a
*node* axis the label is the neuron's number, unique over the whole graph; for a *site* axis it is a
position (pixel, token). -1 means neither: padding. Labels are expanded views wherever an axis does not
vary along a dimension, so carrying them costs next to nothing, and a data-movement operator is followed
by running that very operator on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wsgraph.lowering.builder import Nodes

__all__ = [
    "Activation",
    "Attention",
    "Axis",
    "Space",
    "arange_along",
    "broadcast",
    "broadcast_shape",
    "distinct_labels",
    "distinct_rows",
    "restrict",
    "unite_sites",
    "varying_dims",
]


_SORTED = 4096
"""Labels up to which sorting beats marking."""

_KEYS = 2**62
"""Most combinations that one integer can number."""


def varying_dims(labels: Tensor) -> tuple[int, ...]:
    """The dimensions along which the labels differ; strides of 0 answer without reading."""
    live = [d for d, (n, s) in enumerate(zip(labels.shape, labels.stride(), strict=True)) if n > 1 and s]
    # A stride other than 0 only means that the labels *may* differ: materialised labels are compared.
    small = restrict(labels, live)
    for dim in list(live):
        first = small.narrow(dim, 0, 1)
        if not _differs(small, first, dim):
            live.remove(dim)
            small = first
    return tuple(live)


def _differs(labels: Tensor, first: Tensor, dim: int) -> bool:
    """Whether labels differ from their first slice; the next slice settles it nearly always."""
    if not torch.equal(labels.narrow(dim, 1, 1), first):
        return True
    return not bool((labels == first).all())


def restrict(labels: Tensor, dims: Iterable[int]) -> Tensor:
    """The labels with every dimension not in ``dims`` cut down to its first position (size 1)."""
    keep = set(dims)
    cut = [n if d in keep or n == 0 else 1 for d, n in enumerate(labels.shape)]
    return labels if cut == list(labels.shape) else labels.as_strided(cut, labels.stride())


def broadcast(labels: Sequence[Tensor]) -> list[Tensor]:
    """The label tensors, expanded to their common shape."""
    return list(torch.broadcast_tensors(*labels))  # type: ignore[no-untyped-call]  # torch leaves it untyped


def broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The common shape of operands that torch broadcasts."""
    return tuple(np.broadcast_shapes(*(tuple(s) for s in shapes)))


def arange_along(shape: Sequence[int], dim: int, start: int = 0) -> Tensor:
    """Labels ``start``, ``start+1``, ... along one dimension, expanded over the others."""
    labels = torch.arange(start, start + shape[dim])
    view = [1] * len(shape)
    view[dim] = shape[dim]
    return labels.view(view).expand(tuple(shape))


def distinct_rows(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Distinct combinations of several label tensors of one shape.

    Returns:
        ``rank`` of that shape, the number of each element's combination in order of first appearance,
        and ``first`` [n_distinct], the flat position where each combination first appears.
    """
    key = _joint([c.reshape(-1) for c in columns])
    positions = torch.arange(len(key))
    if bool((key.diff() > 0).all()):
        return positions.view(columns[0].shape), positions
    _, inverse = torch.unique(key, return_inverse=True)
    n = int(inverse.max()) + 1
    first = torch.full((n,), len(inverse)).scatter_reduce(0, inverse, positions, "amin")
    order = first.argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(n)
    return rank[inverse].view(columns[0].shape), first[order]


def _joint(columns: Sequence[Tensor]) -> Tensor:
    """One number for each combination of several columns' labels."""
    key, values = columns[0], 1
    for column in columns:
        low, high = (int(end) for end in column.aminmax()) if column.numel() else (0, 0)
        span = high - low + 1
        if values > 1 and values * span > _KEYS:
            key = torch.unique(key, return_inverse=True)[1]
            values = key.numel()
        key = column - low if values == 1 else key * span + (column - low)
        values *= span
    return key


def distinct_labels(labels: Tensor) -> Tensor:
    """Distinct labels, ascending; marked where they lie close together, which beats sorting many times."""
    if labels.numel() > _SORTED:
        low = int(labels.min())
        span = int(labels.max()) - low + 1
        if span <= labels.numel():
            met = torch.zeros(span, dtype=torch.bool)
            met[(labels - low).reshape(-1)] = True
            return met.nonzero().flatten() + low
    unique: Tensor = torch.unique(labels)
    return unique


@dataclass(eq=False, slots=True)
class Space:
    """A set of positions, such as the rows of a feature map, and what is known of it.

    Attributes:
        size: number of positions.
        origin: the graph input it comes from, or "".
    """

    size: int
    origin: str = ""


@dataclass(eq=False, slots=True)
class Attention:
    """A contraction of two activations that has not met its values yet: the logits of an attention.

    Attributes:
        sources: (tag, table [n_logits, n]) of the neurons contracted; a row for each group (head) while the
            logits have no nodes, then for each of their nodes in ascending order.
        gates: (tag, table [n_logits, n]) of nodes that stand on the logits themselves.
    """

    sources: list[tuple[str, Tensor]] = field(default_factory=list)
    gates: list[tuple[str, Tensor]] = field(default_factory=list)

    def rows(self, picked: Tensor) -> Attention:
        """The attention of other logits, each made of some of these: ``picked`` [n_new, n]."""
        return Attention(
            [(tag, table[picked].flatten(1)) for tag, table in self.sources],
            [(tag, table[picked].flatten(1)) for tag, table in self.gates],
        )


@dataclass(eq=False, slots=True)
class Axis:
    """One axis of an activation.

    Attributes:
        labels: int64, the activation's shape. Global node numbers for nodes; positions for sites;
            group numbers for logits that have no nodes yet.
        space: for a site axis, which positions they are; None for a node axis.
        attention: for the head axis of attention logits, what they were contracted from.
        pending: True while an attention's logits have no nodes of their own.
        frozen_dims: cache of :attr:`dims`.
        frozen_ids: cache of :meth:`ids`.
    """

    labels: Tensor
    space: Space | None = None
    attention: Attention | None = None
    pending: bool = False
    frozen_dims: tuple[int, ...] | None = None
    frozen_ids: Tensor | None = None

    @property
    def is_nodes(self) -> bool:
        """Whether labels are node numbers."""
        return self.space is None and not self.pending

    @property
    def is_sites(self) -> bool:
        """Whether labels are positions."""
        return self.space is not None

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions along which the labels differ."""
        if self.frozen_dims is None:
            self.frozen_dims = varying_dims(self.labels)
        return self.frozen_dims

    def with_labels(self, labels: Tensor, dims: tuple[int, ...] | None = None) -> Axis:
        """The same axis after the labels were moved; ``dims`` where it is known along which they differ."""
        return Axis(labels, self.space, self.attention, self.pending, dims)

    def small(self) -> Tensor:
        """The labels with size 1 along every dimension in which they do not differ."""
        return restrict(self.labels, self.dims)

    def attention_of(self, ids: Tensor) -> Attention | None:
        """For new logits made of this axis's nodes ``ids`` [n_new, n], what they were contracted from."""
        if self.attention is None:
            return None
        return self.attention.rows(
            torch.searchsorted(self.ids(), ids.contiguous()).clamp(max=len(self.ids()) - 1)
        )

    def newest(self) -> int:
        """The largest label: tells which of several node axes was made last."""
        return int(self.small().max())

    def relabel(self, small: Tensor) -> Axis:
        """The same axis with other labels, given as :meth:`small` gives them."""
        return Axis(
            small.expand(self.labels.shape), self.space, self.attention, self.pending, self.frozen_dims
        )

    def ids(self) -> Tensor:
        """Distinct labels, ascending, without padding."""
        if self.frozen_ids is None:
            flat = self.small().reshape(-1)
            if len(flat) and bool((flat.diff() == 1).all()) and int(flat[0]) >= 0:
                self.frozen_ids = flat.contiguous()  # a block in its own order, as nearly always
            else:
                unique = distinct_labels(flat)
                self.frozen_ids = unique[unique >= 0]
        return self.frozen_ids


@dataclass(eq=False, slots=True)
class Activation:
    """What is known of one activation.

    Attributes:
        shape: its shape.
        axes: its axes, in no particular order.
        via: operators without parameters applied since its nodes were made (activations, pooling).
        fresh: the node block that this value is the whole output of, as long as nothing else uses it.
    """

    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    via: tuple[str, ...] = ()
    fresh: Nodes | None = None

    @property
    def nodes(self) -> tuple[Axis, ...]:
        """Axes whose labels are neurons."""
        return tuple(a for a in self.axes if a.is_nodes)

    @property
    def sites(self) -> tuple[Axis, ...]:
        """Axes whose labels are positions."""
        return tuple(a for a in self.axes if a.is_sites)

    @property
    def pending(self) -> tuple[Axis, ...]:
        """Head axes of logits without nodes."""
        return tuple(a for a in self.axes if a.pending)

    def expanded(self, shape: Sequence[int]) -> Activation:
        """Broadcast to a larger shape, as torch's elementwise operators do."""
        if tuple(shape) == self.shape:
            return self
        moved = tuple(a.with_labels(a.labels.expand(tuple(shape))) for a in self.axes)
        return replace(self, shape=tuple(shape), axes=moved)

    @property
    def transposed(self) -> Activation:
        """The last two dimensions swapped."""
        shape = (*self.shape[:-2], self.shape[-1], self.shape[-2])
        axes = tuple(a.with_labels(a.labels.transpose(-1, -2)) for a in self.axes)
        return replace(self, shape=shape, axes=axes)

    def told_apart(self, dims: Iterable[int]) -> Activation:
        """The positions along some dimensions made different, where they were alike before."""
        told = {d for axis in self.axes for d in axis.dims}
        new = [
            Axis(arange_along(self.shape, d), Space(self.shape[d]))
            for d in dims
            if d not in told and self.shape[d] > 1
        ]
        return replace(self, axes=(*self.axes, *new)) if new else self

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def unite_sites(left: Activation, right: Activation) -> tuple[Axis, ...]:
    """Positions of both operands; dimensions whose positions are known already keep the first's."""
    known = {d for a in left.sites for d in a.dims}
    return (*left.sites, *(a for a in right.sites if not set(a.dims) <= known))
