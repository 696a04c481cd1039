"""The neurons behind an axis, worked out once however many operators it goes through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsgraph.lowering.builder import GraphBuilder
    from wsgraph.provenance.axes import Axis

__all__ = ["NeuronCache", "Neurons", "rows"]

_Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], bool, int]


class Neurons(NamedTuple):
    """Some neurons.

    Attributes:
        ids: distinct global node numbers, ascending.
        whole: whether they make up whole blocks, so that belonging to them tells no node of a block from
            another one.
    """

    ids: Tensor
    whole: bool


class NeuronCache:
    """Axes that share their labels (all along a chain of activations) share the answer.

    Args:
        builder: the finished graph, its blocks split for good.
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self._cuts = _cuts(builder)
        self._known: dict[_Key, tuple[Neurons, ...]] = {}

    def key(self, axis: Axis) -> _Key:
        """What tells the labels of one axis from another's; they live as long as the graph's states."""
        labels = axis.labels
        return labels.data_ptr(), tuple(labels.shape), labels.stride(), axis.pending, id(axis.attention)

    def of(self, axis: Axis) -> tuple[Neurons, ...]:
        """The neurons of an axis; for logits without nodes, those that were contracted; none for sites."""
        if axis.is_sites:
            return ()
        key = self.key(axis)
        if key not in self._known:
            self._known[key] = tuple(self._describe(ids) for ids in _labels(axis))
        return self._known[key]

    def _describe(self, ids: Tensor) -> Neurons:
        if not len(ids):
            return Neurons(ids, whole=True)
        low, high = int(ids[0]), int(ids[-1])
        whole = high - low + 1 == len(ids) and bool(self._cuts[low]) and bool(self._cuts[high + 1])
        return Neurons(ids, whole)


def _labels(axis: Axis) -> list[Tensor]:
    ids = axis.ids()
    if axis.is_nodes:
        return [ids]
    if axis.attention is None:
        return []
    tables = (torch.unique(table[ids]) for _, table in axis.attention.sources)
    return [t[t >= 0] for t in tables]


def _cuts(builder: GraphBuilder) -> Tensor:
    """Whether each node number starts something that no block reaches across, ``[n + 1]`` (bool)."""
    across = torch.zeros(builder.num_nodes + 1, dtype=torch.int64)
    ends = [_ends(block.ids) if block.members is not None else (block.base, block.base + block.size)
            for block in builder.blocks if block.size]  # fmt: skip
    if ends:
        first, last = torch.tensor(ends).T
        one = torch.ones_like(first)
        across.index_add_(0, first + 1, one).index_add_(0, last, -one)
    return across.cumsum(0) == 0


def _ends(ids: Tensor) -> tuple[int, int]:
    return int(ids.min()), int(ids.max()) + 1


def rows(labels: Tensor, dims: Iterable[int]) -> Tensor:
    """``[positions along dims, the rest]``."""
    dims = tuple(dims)
    rest = [d for d in range(labels.dim()) if d not in dims]
    return labels.permute(*dims, *rest).reshape(math.prod(labels.shape[d] for d in dims), -1)
