"""Contraction of two activations: attention, in whatever form the model writes it (App. F.2).

Neurons that are contracted (q with k) leave logits that have no nodes of their own as long as nothing but
constants touches them. When the logits meet values, one node a value neuron and head appears, with learned
edges from the q, k and v of its head. So fused, written-out, grouped-query and linear attention all take
the same path, and no pattern of operators is matched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import LoweringError
from wsgraph.events.blocks import Learned
from wsgraph.lowering.sources import link
from wsgraph.provenance.axes import (
    Activation,
    Attention,
    Axis,
    Space,
    broadcast,
    broadcast_shape,
    distinct_rows,
    restrict,
)
from wsgraph.provenance.groups import gather_groups, quotient, remaining_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph.lowering.builder import GraphBuilder

__all__ = ["matmul_operands", "mix", "note_meeting"]


def matmul_operands(left: Activation, right: Activation) -> tuple[Activation, Activation, tuple[int, ...]]:
    """Both operands of a matrix product over one index space ``[*batch, m, n, k]``, and its shape."""
    a, b = left, right
    if len(a.shape) == 1:
        a = _move(a, lambda t: t.unsqueeze(0))
    if len(b.shape) == 1:
        b = _move(b, lambda t: t.unsqueeze(-1))
    batch = broadcast_shape(a.shape[:-2], b.shape[:-2])
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    joint = (*batch, m, n, k)
    a = _move(a, lambda t: t.unsqueeze(-2).expand(joint))
    b = _move(b, lambda t: t.transpose(-1, -2).unsqueeze(-3).expand(joint))
    return a, b, joint


def _move(x: Activation, function: object) -> Activation:
    assert callable(function)
    axes = tuple(a.with_labels(function(a.labels)) for a in x.axes)
    shape = tuple(function(torch.empty(()).expand(x.shape)).shape)
    return replace(x, shape=shape, axes=axes)


@dataclass(eq=False, slots=True)
class _Sorted:
    """Axes of both operands by what the contraction does to them."""

    consumed: list[tuple[str, Axis]]
    logits: list[Axis]
    kept: list[Axis]
    sites: list[Axis]


def mix(
    graph: GraphBuilder, left: Activation, right: Activation, contracted: int, shape: tuple[int, ...]
) -> Activation:
    """The result of contracting the last ``contracted`` dimensions of a common index space.

    Args:
        graph: the builder.
        left: first operand, expanded over the index space.
        right: second operand, likewise.
        contracted: number of contracted dimensions, the last ones.
        shape: the result's shape; what remains of the index space is reshaped to it.
    """
    rank = len(left.shape)
    dims = tuple(range(rank - contracted, rank))
    kept_dims = [d for d in range(rank) if d not in dims]
    sorted_axes = _sort(left, right, dims)
    _note_meetings(graph, sorted_axes)
    _tell_summed_logits_apart(graph, sorted_axes, dims)
    via = tuple(dict.fromkeys((*left.via, *right.via)))
    sites = remaining_axes(sorted_axes.sites, kept_dims, shape)
    if not sorted_axes.consumed and not sorted_axes.logits:
        return Activation(shape, (*remaining_axes(sorted_axes.kept, kept_dims, shape), *sites), via=via)
    meeting = [a for _, a in sorted_axes.consumed] + sorted_axes.logits
    live = sorted({d for a in meeting for d in a.dims if d in kept_dims})
    tables = [_table(a, dims, live, left.shape) for a in meeting]
    index = [n if d in live else 1 for d, n in enumerate(left.shape)]
    group, _ = distinct_rows([quotient(table) for table in tables])
    attention = _attention(sorted_axes, group, tables)
    group = group.view(index)
    if not sorted_axes.kept:
        labels = group.expand([*left.shape[: rank - contracted]] + [1] * contracted).reshape(shape)
        return Activation(shape, (Axis(labels, attention=attention, pending=True), *sites), via=via)
    return _values(graph, sorted_axes, attention, group, left.shape, kept_dims, shape, sites)


def _sort(left: Activation, right: Activation, dims: tuple[int, ...]) -> _Sorted:
    out = _Sorted([], [], [], [])
    for tag, operand in (("query", left), ("key", right)):
        singles = not any(set(a.dims) & set(dims) for a in operand.nodes)
        told = {d for s in out.sites for d in s.dims}
        for axis in operand.axes:
            along = bool(set(axis.dims) & set(dims))
            if axis.attention is not None and not (along and axis.is_nodes):
                out.logits.append(axis)
            elif axis.is_sites:
                # Summed positions are gone; what the other operand already tracks need not be told twice.
                left_over = set(axis.dims) - set(dims)
                if left_over and not left_over <= told:
                    out.sites.append(_places(left.shape, left_over) if along else axis)
                    if along:
                        told |= left_over
            elif along or (singles and not axis.dims and _single_contraction(left, dims)):
                out.consumed.append((tag, axis))
            elif not any(torch.equal(axis.ids(), k.ids()) and axis.dims == k.dims for k in out.kept):
                out.kept.append(axis)
    return out


def _places(shape: tuple[int, ...], dims: set[int]) -> Axis:
    """Positions along some dimensions, of sums over others (patches)."""
    sizes = [n if d in dims else 1 for d, n in enumerate(shape)]
    labels = torch.arange(math.prod(sizes)).view(sizes)
    return Axis(labels.expand(shape), Space(labels.numel()))


def _note_meetings(graph: GraphBuilder, axes: _Sorted) -> None:
    """Which neuron of one operand each neuron of the other is multiplied with, for the symmetries."""
    for tag, left in axes.consumed:
        for other, right in axes.consumed:
            if (tag, other) == ("query", "key"):
                note_meeting(graph, left, right)


def note_meeting(graph: GraphBuilder, left: Axis, right: Axis) -> None:
    """The neurons of two axes lie at the same elements: which one with which, no edge says."""
    live = sorted({*left.dims, *right.dims})
    pairs = broadcast([restrict(a.labels, live) for a in (left, right)])
    _, first = distinct_rows(pairs)
    graph.meetings.append((pairs[0].reshape(-1)[first], pairs[1].reshape(-1)[first]))


def _tell_summed_logits_apart(graph: GraphBuilder, axes: _Sorted, dims: tuple[int, ...]) -> None:
    """Logits without nodes that are summed up each meet another neuron, and no edge says which."""
    for logits in axes.logits:
        if logits.pending and set(logits.dims) & set(dims):
            assert logits.attention is not None
            tables = [table for _, table in logits.attention.sources]
            for met in (*tables, *[axis.ids() for _, axis in axes.consumed]):
                ids = torch.unique(met[met >= 0])
                graph.placed.append((ids, torch.arange(len(ids)).unsqueeze(1)))


def _single_contraction(left: Activation, dims: tuple[int, ...]) -> bool:
    """A contraction over one position, such as single-channel queries with single-channel keys."""
    return all(left.shape[d] == 1 for d in dims)


def _table(axis: Axis, dims: tuple[int, ...], live: list[int], joint: tuple[int, ...]) -> Tensor:
    """The neurons of one axis that each kept position meets, ``[n_positions, n]``."""
    along = [d for d in dims if d in axis.dims]
    size = [n if d in live or d in along else 1 for d, n in enumerate(joint)]
    labels = restrict(axis.labels, (*along, *live)).expand(size)
    rest = [d for d in range(labels.dim()) if d not in along]
    return labels.permute(*rest, *along).reshape(math.prod(joint[d] for d in live), -1)


def _attention(axes: _Sorted, group: Tensor, tables: Sequence[Tensor]) -> Attention:
    """Who takes part, a row a group.

    Args:
        axes: the axes that take part.
        group: ``[n_positions]``, the group of each kept position.
        tables: for each axis that takes part the neurons that each position meets.
    """
    out = Attention()
    rows = [gather_groups(group, table) for table in tables]
    for (tag, _), met in zip(axes.consumed, rows, strict=False):
        out.sources.append((tag, met))
    for axis, met in zip(axes.logits, rows[len(axes.consumed) :], strict=True):
        assert axis.attention is not None
        behind = axis.attention.rows(met) if axis.pending else axis.attention_of(met)
        assert behind is not None
        if not axis.pending:
            out.gates.append(("logit", met))
        out.sources.extend(behind.sources)
        out.gates.extend(behind.gates)
    return out


def _values(
    graph: GraphBuilder,
    axes: _Sorted,
    attention: Attention,
    group: Tensor,
    joint: tuple[int, ...],
    kept_dims: list[int],
    shape: tuple[int, ...],
    sites: tuple[Axis, ...],
) -> Activation:
    """The z nodes: one a value neuron and group, with learned edges from the group's q, k and v.

    Raises:
        LoweringError: the groups are of different sizes.
    """
    live = sorted(
        {d for a in axes.kept for d in a.dims if d in kept_dims}
        | {d for d, n in enumerate(group.shape) if n > 1}
    )
    labels = broadcast([group, *[restrict(a.labels, live) for a in axes.kept]])
    rank, first = distinct_rows(labels)
    of_group = labels[0].reshape(-1)[first]
    by_group = torch.argsort(of_group, stable=True)
    position = torch.empty_like(by_group)
    position[by_group] = torch.arange(len(by_group))
    groups = int(of_group.max()) + 1
    if len(torch.unique(torch.bincount(of_group))) > 1:
        raise LoweringError(
            f"{graph.op!r}: {groups} heads take part with different numbers of value neurons",
            remedy="pass --unsupported opaque, or write a plugin for the module's attention",
        )
    z = graph.add_nodes(len(first), role="z")
    link(graph, attention, z)
    for value in labels[1:]:
        ids = value.reshape(-1)[first][by_group].view(groups, -1)
        graph.mark_role(ids, "v")
        graph.meetings.append((ids.reshape(-1), z.ids))
        if graph.options.attention == "diagonal-v":
            graph.one_to_one(ids.reshape(-1), z, Learned("value"), ticks=1, timed=False)
        else:
            graph.learned(ids, z, "value", ticks=1, timed=False)
    full = (position[rank] + z.base).expand([n if d in kept_dims else 1 for d, n in enumerate(joint)])
    return Activation(shape, (Axis(full.reshape(shape)), *sites), fresh=z)
