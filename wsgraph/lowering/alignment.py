"""Element-wise operators on two activations: residual sums, gates, and axes that simply meet.

Two different node axes that vary along the same dimension are aligned label for label (DESIGN section 4).
A sum becomes residual edges into the later operand's block, or a block of its own (App. F.1); anything
else becomes a block of products.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned
from wsgraph.lowering.logits import combine_logits
from wsgraph.lowering.sources import force
from wsgraph.provenance.axes import (
    Activation,
    Attention,
    Axis,
    broadcast,
    distinct_rows,
    restrict,
    unite_sites,
)

if TYPE_CHECKING:
    from wsgraph.lowering.builder import GraphBuilder, Nodes

__all__ = ["combine", "covers_block", "residual_span"]


def combine(graph: GraphBuilder, left: Activation, right: Activation, kind: str) -> Activation:
    """The activation of an element-wise operator on two activations of one shape.

    Args:
        graph: the builder.
        left: first operand, broadcast already.
        right: second operand, of the same shape.
        kind: ``sum`` or ``product``.
    """
    if _same_nodes(left, right):
        return replace(
            left, axes=(*unite_sites(left, right), *left.nodes), fresh=None, via=_merge_via(left, right)
        )
    joined = combine_logits(graph, left, right, kind)
    if joined is not None:
        return joined
    left, right = _force_where_needed(graph, left, right)
    axes: list[Axis] = list(unite_sites(left, right))
    rest = [a for a in right.axes if not a.is_sites]
    fresh: Nodes | None = None
    for axis in (a for a in left.axes if not a.is_sites):
        partner = _partner(axis, rest)
        if partner is None:
            axes.append(axis)
            continue
        rest.remove(partner)
        merged = _merge(graph, _Side(left, axis), _Side(right, partner), kind)
        axes.append(merged.axis)
        fresh = merged.block or fresh
    axes.extend(rest)
    return Activation(left.shape, _settle_positions(graph, axes, kind), fresh=fresh)


@dataclass(eq=False, slots=True)
class _Side:
    activation: Activation
    axis: Axis


@dataclass(eq=False, slots=True)
class _Merged:
    axis: Axis
    block: Nodes | None = None


def same_labels(left: Tensor, right: Tensor) -> bool:
    """Whether two label tensors are equal; free when they are views of one memory."""
    if left.data_ptr() == right.data_ptr() and left.stride() == right.stride():
        return True
    if any((s == 0) != (r == 0) for s, r in zip(left.stride(), right.stride(), strict=True)):
        return torch.equal(left, right)
    live = [d for d, s in enumerate(left.stride()) if s != 0]
    return torch.equal(restrict(left, live), restrict(right, live))


def _same_nodes(left: Activation, right: Activation) -> bool:
    a, b = left.nodes, right.nodes
    if len(a) != len(b) or left.pending or right.pending:
        return False
    return all(any(same_labels(x.labels, y.labels) for y in b) for x in a)


def _merge_via(left: Activation, right: Activation) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*left.via, *right.via)))


def _force_where_needed(
    graph: GraphBuilder, left: Activation, right: Activation
) -> tuple[Activation, Activation]:
    """Logits without nodes stay so only next to logits without nodes or to something without neurons."""
    if left.pending and right.nodes:
        left = force(graph, left)
    if right.pending and left.nodes:
        right = force(graph, right)
    return left, right


def _partner(axis: Axis, rest: list[Axis]) -> Axis | None:
    """The other operand's axis that varies along the same dimensions."""
    same_kind = [b for b in rest if b.pending == axis.pending]
    for other in same_kind:
        if set(axis.dims) & set(other.dims):
            return other
    for other in same_kind:
        if not axis.dims or not other.dims:
            return other
    return None


def _merge(graph: GraphBuilder, left: _Side, right: _Side, kind: str) -> _Merged:
    if left.axis.pending:
        return _Merged(_merge_logits(left.axis, right.axis))
    if same_labels(left.axis.labels, right.axis.labels):
        return _Merged(left.axis)
    if kind == "sum":
        merged = _residual(graph, left, right)
        if merged is not None:
            return merged
    return _meet(graph, left.axis, right.axis, kind)


def _merge_logits(left: Axis, right: Axis) -> Axis:
    assert left.attention is not None
    assert right.attention is not None
    sources = [*left.attention.sources]
    for tag, table in right.attention.sources:
        if not any(tag == t and torch.equal(table, s) for t, s in sources):
            sources.append((tag, table))
    return replace(left, attention=Attention(sources, [*left.attention.gates, *right.attention.gates]))


def covers_block(activation: Activation, axis: Axis) -> bool:
    """Whether the axis is exactly the nodes of the block that the value is the fresh output of."""
    block = activation.fresh
    if block is None or block.used:
        return False
    ids = axis.ids()
    return (
        len(ids) == block.size and int(ids[0]) == block.base and int(ids[-1]) == block.base + block.size - 1
    )


def residual_span(graph: GraphBuilder, block: Nodes, ids: Tensor) -> int:
    """Timestamps that a residual spans, r of App. F.1; parallel branches of one timestamp count as 1."""
    return max(1, block.t - graph.time(ids[ids >= 0]))


def _residual(graph: GraphBuilder, left: _Side, right: _Side) -> _Merged | None:
    """Edges from the earlier operand into the later one's block, if nothing else reads that block."""

    def when(side: _Side) -> tuple[int, int]:
        blocks = graph.blocks_of(side.axis.ids())
        return max(b.t for b in blocks), max(b.number for b in blocks)

    later, earlier = (left, right) if when(left) > when(right) else (right, left)
    if not covers_block(later.activation, later.axis):
        return None
    block = later.activation.fresh
    assert block is not None
    src = _partners_of_block(block, later.axis, earlier.axis)
    if src is None:
        return None
    span = residual_span(graph, block, src)
    graph.one_to_one(src, block, Learned("residual", float(span)), via=earlier.activation.via)
    return _Merged(later.axis, block)


def _partners_of_block(block: Nodes, later: Axis, earlier: Axis) -> Tensor | None:
    """For each node of the block the one node it meets (-1 for none); None if it meets several."""
    dims = sorted({*later.dims, *earlier.dims})
    a, b = (t.reshape(-1) for t in broadcast([restrict(later.labels, dims), restrict(earlier.labels, dims)]))
    if bool(((a < 0) & (b >= 0)).any()):
        return None
    present = (a >= 0) & (b >= 0)
    a, b = a[present], b[present]
    if not len(a):
        return None
    src = torch.full((block.size,), -1, dtype=torch.int64)
    src[a - block.base] = b
    return src if bool((src[a - block.base] == b).all()) else None


def _meet(graph: GraphBuilder, left: Axis, right: Axis, kind: str) -> _Merged:
    """A block of its own: a node for each pair of neurons that meet."""
    dims = sorted({*left.dims, *right.dims})
    a, b = broadcast([restrict(left.labels, dims), restrict(right.labels, dims)])
    rank, first = distinct_rows([a, b])
    sources = [labels.reshape(-1)[first] for labels in (a, b)]
    attention = left.attention_of(sources[0]) or right.attention_of(sources[1])
    block = graph.add_nodes(len(first), role="logits" if attention else kind)
    latest = max(graph.now, *(graph.time(ids[ids >= 0]) for ids in sources))
    for ids in sources:
        span = max(1, latest - graph.time(ids[ids >= 0]))
        graph.one_to_one(ids, block, Learned("residual", float(span)) if kind == "sum" else Learned("gate"))
    labels = torch.where((a >= 0) | (b >= 0), rank + block.base, -1).expand(left.labels.shape)
    return _Merged(Axis(labels, attention=attention), block)


def _settle_positions(graph: GraphBuilder, axes: list[Axis], kind: str) -> tuple[Axis, ...]:
    """A site axis whose positions are nodes by now gives way to the node axis along the same dimension.

    MLP-Mixer: x has tokens as positions, the token-mixing layer's output has tokens as neurons; their sum
    adds the position nodes to these neurons.
    """
    sites = [a for a in axes if a.is_sites]
    out = [a for a in axes if not a.is_sites]
    gone: set[int] = set()
    for axis in [a for a in out if a.is_nodes]:
        meeting = [s for s in sites if set(s.dims) & set(axis.dims) and id(s) not in gone]
        if not meeting or not all(set(s.dims) <= set(axis.dims) for s in meeting):
            continue
        nodes = graph.position_blocks.get(tuple(id(s.space) for s in meeting))
        if nodes is None:
            continue
        rank = torch.zeros((), dtype=torch.int64)
        for s in meeting:
            assert s.space is not None
            rank = rank * s.space.size + s.labels
        block = graph.block_of(int(axis.ids()[0]))
        gone.update(id(s) for s in meeting)
        if kind == "sum" and not block.used and block is not nodes:
            src = _partners_of_block(block, axis, Axis(rank + nodes.base))
            if src is not None:
                span = residual_span(graph, block, src)
                graph.one_to_one(src, block, Learned("residual", float(span)))
    return tuple(out) + tuple(s for s in sites if id(s) not in gone)
