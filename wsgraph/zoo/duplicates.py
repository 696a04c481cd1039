"""Equal models in a zoo: bit for bit, and up to the order of their neurons.

Two networks that differ by a permutation of their neurons have the same *key*: every node starts from the
bits of its own features and is refined by the multiset of (edge bits, neighbour's colour) around it, along
the edges and then against them. Sums of hashes in 64-bit integers stand for multisets, so a key depends on
no order and no rounding. Nodes that stay where they are (inputs, outputs, table rows) start from their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned, NodeView, ParamView, Pattern
from wsgraph.events.derived import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.blocks import EdgeBlock, Feature, NodeBlock
    from wsgraph.events.structure import Structure
    from wsgraph.zoo.reader import Zoo

__all__ = ["equal_models", "equal_up_to_order", "permutation_keys"]

_A, _B = -7046029254386353131, -4658895280553007687  # odd constants of splitmix64
_BATCH_BYTES = 32 << 20


def equal_models(zoo: Zoo) -> list[list[str]]:
    """Ids of models with the same bits in every weight, group by group; reads the table only."""
    groups = zoo.models.group_by("fingerprint", "digest", maintain_order=True).agg("id")
    return [ids for ids in groups["id"].to_list() if len(ids) > 1]


def equal_up_to_order(zoo: Zoo) -> list[list[str]]:
    """Ids of models that are equal up to the order of their neurons; reads all weights, batch by batch.

    Raises:
        ZooError: a shard is damaged.
    """
    groups: dict[tuple[str, int], list[str]] = {}
    for fingerprint in zoo.fingerprints:
        structure = zoo.structure(fingerprint)
        size = 8 * max(sum(edge.num_edges for edge in structure.edges), 1)
        for batch in zoo.batches(fingerprint, batch=max(_BATCH_BYTES // size, 1)):
            keys = permutation_keys(structure, batch.weights)
            for model, key in zip(batch.ids, keys.tolist(), strict=True):
                groups.setdefault((fingerprint, key), []).append(model)
    return [ids for ids in groups.values() if len(ids) > 1]


def permutation_keys(structure: Structure, weights: Mapping[str, Tensor]) -> Tensor:
    """A key a model, ``[n]`` (int64); equal for models that differ by the order of their neurons only.

    Args:
        structure: the models' structure.
        weights: their tensors, stacked ``[n, *shape]``.
    """
    return _Refinement(structure, weights).keys()


class _Refinement:
    def __init__(self, structure: Structure, weights: Mapping[str, Tensor]) -> None:
        self.structure = structure
        self.weights = dict(weights)
        self.models = len(next(iter(weights.values())))
        for name in structure.derived:
            self._derive(name)
        entered = {edge.dst for edge in structure.edges}
        self.colours = {node.id: self._start(node, node.id in entered) for node in structure.nodes}

    def keys(self) -> Tensor:
        order = {node.id: place for place, node in enumerate(self.structure.nodes)}
        edges = sorted(self.structure.edges, key=lambda edge: order[edge.dst])
        for edge in edges:
            self._along(edge)
        for edge in reversed(edges):
            self._against(edge)
        blocks = [_mix(_mix(self.colours[node.id]).sum(1) + node.id) for node in self.structure.nodes]
        return torch.stack(blocks).sum(0)

    def _derive(self, name: str) -> None:
        derived = self.structure.derived[name]
        for source in derived.sources:
            if source in self.structure.derived and source not in self.weights:
                self._derive(source)
        values = [
            evaluate(derived, {source: self._source(source, model) for source in derived.sources})
            for model in range(self.models)
        ]
        self.weights[name] = torch.stack(values)

    def _source(self, name: str, model: int) -> Tensor:
        constant = self.structure.indices.get(name)
        return self._tensor(name)[model] if constant is None else constant

    def _tensor(self, name: str) -> Tensor:
        return self.weights[name] if name in self.weights else self.weights[self.structure.storage_name(name)]

    def _bits(self, feature: Feature, shape: tuple[int, ...]) -> Tensor:
        """Hashed bits of a feature, ``[n, *shape]``; those of a learned one are those of its tag."""
        if isinstance(feature, Learned):
            tag = sum(
                byte << (8 * (i % 7)) for i, byte in enumerate(f"{feature.tag} {feature.scale}".encode())
            )
            return torch.full((), tag, dtype=torch.int64).expand(self.models, *shape)
        return _mix(self._view(feature))

    def _view(self, view: ParamView) -> Tensor:
        """The bits of a parameter view in all models at once, ``[n, *shape]``."""
        flat = _integers(self._tensor(view.name)).reshape(self.models, -1)
        if view.index is None:
            assert view.strides is not None
            strides = (flat.stride(0), *view.strides)
            return torch.as_strided(
                flat, (self.models, *view.shape), strides, flat.storage_offset() + view.offset
            )
        index = self.structure.indices[view.index].long()
        return torch.where(index >= 0, flat[:, index.clamp(min=0)], 0)

    def _start(self, node: NodeBlock, entered: bool) -> Tensor:
        colour = torch.full((self.models, node.size), node.id, dtype=torch.int64)
        for place, (_, view) in enumerate(sorted(node.features.items())):
            colour = _mix(colour + (place + 1) * self._bits(view, view.shape))
        if not entered or node.attrs.get("role") == "output":
            colour = _mix(colour + torch.arange(node.size))
        return colour

    def _edge_hash(self, edge: EdgeBlock) -> Tensor:
        """One number a pair: its parallel edges in their order, ``[n, *shape[:-1]]``."""
        places = _mix(torch.arange(edge.multiplicity) + edge.id * 7919)
        return _mix((self._bits(edge.feature, edge.shape) * (places | 1)).sum(-1))

    def _sources(self, view: NodeView) -> Tensor:
        parts = [self.colours[part.block][:, part.start : part.stop] for part in view.parts]
        joined = torch.cat(parts, dim=1)
        return joined if view.index is None else joined[:, self.structure.indices[view.index].long()]

    def _pairs(self, edge: EdgeBlock, sources: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of each pair's ends, in the source view and in the destination, both ``[pairs]``."""
        shape = edge.shape[:-1]
        destination = self.structure.node_by_id[edge.dst].size
        if edge.coo is not None:
            coo = self.structure.indices[edge.coo].long()
            return coo[0], coo[1]
        if edge.pattern is Pattern.ONE_TO_ONE:
            return torch.arange(shape[0]), torch.arange(shape[0])
        groups = shape[0] if edge.pattern is Pattern.GROUPED else 1
        src = torch.arange(sources.shape[1]).reshape(groups, 1, -1)
        dst = torch.arange(destination).reshape(groups, -1, 1)
        full = (groups, dst.shape[1], src.shape[2])
        return src.expand(full).reshape(-1), dst.expand(full).reshape(-1)

    def _along(self, edge: EdgeBlock) -> None:
        sources = self._sources(edge.src)
        src, dst = self._pairs(edge, sources)
        messages = _mix(self._edge_hash(edge).reshape(self.models, -1) + sources[:, src])
        own = self.colours[edge.dst]
        self.colours[edge.dst] = _mix(own * 3 + torch.zeros_like(own).index_add_(1, dst, messages))

    def _against(self, edge: EdgeBlock) -> None:
        sources = self._sources(edge.src)
        src, dst = self._pairs(edge, sources)
        messages = _mix(self._edge_hash(edge).reshape(self.models, -1) - self.colours[edge.dst][:, dst])
        sums = torch.zeros_like(sources).index_add_(1, src, messages)
        if edge.src.index is not None:
            whole = sum(part.size for part in edge.src.parts)
            gathered = self.structure.indices[edge.src.index].long()
            sums = sums.new_zeros(self.models, whole).index_add_(1, gathered, sums)
        at = 0
        for part in edge.src.parts:
            colours = self.colours[part.block].clone()
            piece = colours[:, part.start : part.stop]
            colours[:, part.start : part.stop] = _mix(piece * 5 + sums[:, at : at + part.size])
            self.colours[part.block] = colours
            at += part.size


def _integers(tensor: Tensor) -> Tensor:
    """A tensor's bits as int64 of the same shape."""
    if tensor.is_complex():
        return _integers(torch.view_as_real(tensor)).sum(-1)
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = tensor if tensor.dtype is torch.bool else tensor.contiguous().view(kinds[tensor.dtype.itemsize])
    return bits.long().contiguous()


def _mix(x: Tensor) -> Tensor:
    """A hash of 64-bit integers (splitmix64's finaliser, with arithmetic shifts)."""
    x = (x ^ (x >> 30)) * _B
    x = (x ^ (x >> 27)) * _A
    return x ^ (x >> 31)
