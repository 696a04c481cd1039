"""Concatenation: views of several blocks along channels, a sum of disjoint parts along positions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.per_neuron import as_activation
from wsgraph.provenance.axes import (
    Activation,
    Axis,
    Space,
    arange_along,
    broadcast,
    distinct_rows,
    restrict,
    varying_dims,
)
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph.ir.graph import Value
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation, State


def lower_cat(op: Operation, graph: LoweringGraph) -> Activation:
    """DenseNet's and U-Net's concatenation of channels is a view; a class token joins the positions."""
    dim = int(op.argument("dim", 0)) % len(op.shape)
    given = {v: s for v in op.argument("tensors") if (s := op.state(v)) is not None and not _is_empty(s)}
    values = [v for v in op.argument("tensors") if v in given]
    states = [given[v] for v in values]
    if _along_neurons(states, dim):
        return _channels(graph, op, states, dim, values)
    return _positions(graph, op, states, dim)


def _is_empty(state: State) -> bool:
    shape = state.value.shape if not isinstance(state, Activation | ParamValue) else state.shape
    return 0 in shape


def lower_stack(op: Operation, graph: LoweringGraph) -> Activation:
    """A concatenation along a new dimension; each part keeps its own neurons."""
    rank = len(op.shape)
    dim = int(op.argument("dim", 0)) % rank
    parts = []
    for value in op.argument("tensors"):
        x = op.as_activation(value)
        shape = (*x.shape[:dim], 1, *x.shape[dim:])
        parts.append(
            replace(x, shape=shape, axes=tuple(a.with_labels(a.labels.unsqueeze(dim)) for a in x.axes))
        )
    return _channels(graph, op, list(parts), dim, op.argument("tensors"))


def _along_neurons(states: list[State], dim: int) -> bool:
    """Whether the concatenated dimension holds neurons rather than positions."""
    activations = [s for s in states if isinstance(s, Activation)]
    axes = [a for x in activations for a in (*x.nodes, *x.pending)]
    if any(dim in a.dims for a in axes):
        return True
    return all(not a.dims for a in axes) and not any(dim in s.dims for x in activations for s in x.sites)


def _size(state: State, dim: int) -> int:
    shape = state.shape if isinstance(state, Activation | ParamValue) else state.value.shape
    return int(shape[dim])


def _channels(
    graph: LoweringGraph, op: Operation, states: list[State], dim: int, values: list[Value]
) -> Activation:
    parts: list[Activation] = []
    for state in states:
        if isinstance(state, ParamValue):
            parts.append(as_activation(graph, state, (dim,)))
        elif isinstance(state, Activation):
            parts.append(graph.force(state))
        else:
            parts.append(Activation(state.value.shape, ()))
    template = max(parts, key=lambda x: len(x.nodes))
    rows = zip(*(_partners(template.nodes, x, dim) for x in parts), strict=True)
    axes = [Axis(_concatenate(parts, row, dim)) for row in rows]
    sites = [a for a in (_site_axis(parts, s, dim, op.shape) for s in template.sites) if a is not None]
    if not any(dim in a.dims for a in sites):
        sites += _part_axis(_part_numbers(values, parts, dim, op.shape), axes)
    via = tuple(dict.fromkeys(name for x in parts for name in x.via))
    return Activation(op.shape, (*axes, *sites), via=via)


def _part_numbers(values: list[Value], parts: list[Activation], dim: int, shape: tuple[int, ...]) -> Tensor:
    """Which of the joined values an element is of; one that is joined to itself counts once."""
    numbers = {value: k for k, value in enumerate(dict.fromkeys(values))}
    counts = torch.tensor([x.shape[dim] for x in parts])
    along = torch.tensor([numbers[v] for v in values]).repeat_interleave(counts)
    return along.view([-1 if d == dim else 1 for d in range(len(shape))]).expand(shape)


def _concatenate(parts: list[Activation], axes: Sequence[Axis | None], dim: int) -> Tensor:
    """Labels of all parts along the dimension; -1 where a part has no such axis."""
    pieces = [torch.full(x.shape, -1) if a is None else a.labels for x, a in zip(parts, axes, strict=True)]
    live = sorted({dim}.union(*[_live(p) for p in pieces]))
    small = torch.cat([restrict(p, live) for p in pieces], dim)
    shape = [sum(p.shape[dim] for p in pieces) if d == dim else n for d, n in enumerate(parts[0].shape)]
    return small.expand(shape)


def _live(labels: Tensor) -> set[int]:
    return {d for d, (n, s) in enumerate(zip(labels.shape, labels.stride(), strict=True)) if n > 1 and s}


def _partners(axes: Sequence[Axis], x: Activation, dim: int) -> list[Axis | None]:
    """For each of some axes the one of ``x`` that goes on with it: each once, the most alike first."""
    rest, found = [*x.nodes], dict.fromkeys(range(len(axes)), None)
    for alike in (_same_dims, partial(_same_dims, but=dim), lambda *_: True):
        for k, axis in enumerate(axes):
            match = next((a for a in rest if found[k] is None and alike(axis, a)), None)
            if match is not None:
                rest.remove(match)
                found[k] = match
    return list(found.values())


def _same_dims(a: Axis, b: Axis, but: int | None = None) -> bool:
    return {*a.dims} - {but} == {*b.dims} - {but}


def _site_axis(parts: list[Activation], site: Axis, dim: int, shape: tuple[int, ...]) -> Axis | None:
    """Positions along other dimensions stay; along the concatenated one they must be of one space."""
    if dim not in site.dims:
        matching = [[s for s in x.sites if s.space is site.space] for x in parts]
        if all(matching) and any(not _equal(m[0].labels, site.labels) for m in matching):
            labels = torch.cat([m[0].labels for m in matching], dim)
            return Axis(labels, site.space)
        return site.with_labels(restrict(site.labels, site.dims).expand(shape))
    return Axis(arange_along(shape, dim), Space(shape[dim]))


def _part_axis(parts: Tensor, axes: Sequence[Axis]) -> list[Axis]:
    """Where parts of a value are different functions of the same neurons (CReLU), which part it is.

    Args:
        parts: the number of the part that each element is of, in the value's shape.
        axes: the value's node axes.
    """
    for axis in axes:
        dims = {*axis.dims, *varying_dims(parts)}
        labels, numbers = broadcast([restrict(axis.labels, dims), restrict(parts, dims)])
        labels, numbers = labels[labels >= 0], numbers[labels >= 0]
        if len(distinct_rows([labels, numbers])[1]) > len(distinct_rows([labels])[1]):
            return [Axis(parts, Space(int(parts.max()) + 1))]
    return []


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


def _positions(graph: LoweringGraph, op: Operation, states: list[State], dim: int) -> Activation:
    """Parts that follow one another along positions: one set of neurons takes them all.

    Attention logits of several sets of keys stay without nodes; a parameter among them, such as an attention
    sink's logit of each head, gives them nodes as any table does.
    """
    parts = [s for s in states if isinstance(s, Activation) and (s.nodes or s.pending)]
    if any(p.nodes for p in parts):
        parts = [graph.force(p) for p in parts]
    if not parts:
        sites = [s for s in states if isinstance(s, Activation)]
        return Activation(op.shape, _new_sites(sites, dim, op.shape))
    joined = _slice(parts[0], dim)
    for part in parts[1:]:
        joined = graph.combine(joined, _slice(part, dim), "sum")
    for state in states:
        if isinstance(state, ParamValue):
            wide = _widen(joined, dim, _size(state, dim))
            joined = _slice(graph.shift(wide, state, table_dim=dim), dim)
    axes = tuple(
        a.with_labels(restrict(a.labels, a.dims).expand(op.shape)) for a in joined.axes if not a.is_sites
    )
    via = tuple(dict.fromkeys(name for x in parts for name in x.via))
    return Activation(op.shape, (*axes, *_new_sites(parts, dim, op.shape)), via=via, fresh=joined.fresh)


def _slice(x: Activation, dim: int) -> Activation:
    shape = tuple(1 if d == dim else n for d, n in enumerate(x.shape))
    return replace(x, shape=shape, axes=tuple(a.with_labels(a.labels.narrow(dim, 0, 1)) for a in x.axes))


def _widen(x: Activation, dim: int, size: int) -> Activation:
    return x.expanded(tuple(size if d == dim else n for d, n in enumerate(x.shape)))


def _new_sites(parts: list[Activation], dim: int, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    axes = [] if shape[dim] == 1 else [Axis(arange_along(shape, dim), Space(shape[dim]))]
    kept = [s for s in (parts[0].sites if parts else ()) if dim not in s.dims]
    return (*axes, *(s.with_labels(s.small().expand(shape)) for s in kept))


def lower_scatter(op: Operation, graph: LoweringGraph) -> Activation:
    """A part written into a tensor: along neurons their labels are replaced, along positions they join."""
    base, part = op.state(op.argument("self")), op.state(op.argument("src"))
    dim = int(op.argument("dim", 0)) % len(op.shape)
    whole = op.as_activation(op.argument("self"), (-1,))
    written = op.as_activation(op.argument("src"), (-1,))
    if op.name == "select_scatter":
        shape = tuple(1 if d == dim else n for d, n in enumerate(op.shape))
        axes = tuple(a.with_labels(a.labels.unsqueeze(dim)) for a in written.axes)
        written = replace(written, shape=shape, axes=axes)
    if isinstance(base, Activation) and base.nodes and not _along_neurons([base], dim):
        if not isinstance(part, Activation) or not part.nodes:
            return replace(base, fresh=None)
        return _positions(graph, op, [base, written], dim)
    if (
        not whole.nodes
        and not any(dim in a.dims for a in written.nodes)
        and any(a.dims for a in written.nodes)
    ):
        return _positions(graph, op, [written], dim)
    targets = _partners(written.nodes, whole, dim)
    nodes = [Axis(_scatter_labels(op, a, b, dim)) for a, b in zip(written.nodes, targets, strict=True)]
    whole_dim, part_dim = ([n if d == dim else 1 for d, n in enumerate(s)] for s in (op.shape, written.shape))
    kept, new = torch.zeros(whole_dim, dtype=torch.int64), torch.ones(part_dim, dtype=torch.int64)
    parts = _written(op, kept, new, dim).expand(op.shape)
    return Activation(op.shape, (*nodes, *whole.sites, *_part_axis(parts, nodes)))


def _scatter_labels(op: Operation, axis: Axis, target: Axis | None, dim: int) -> Tensor:
    labels = torch.full(op.shape, -1) if target is None else target.labels.clone()
    return _written(op, labels, axis.labels, dim)


def _written(op: Operation, labels: Tensor, own: Tensor, dim: int) -> Tensor:
    """What the operator writes, written into labels."""
    if op.name == "select_scatter":
        return labels.select_scatter(own.squeeze(dim), dim, int(op.argument("index")))
    start, end, step = (op.argument(n) for n in ("start", "end", "step"))
    return labels.slice_scatter(own, dim, start, end, step or 1)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Concatenation and stacking."""
    register("aten.cat", lower_cat)
    register("aten.concat", lower_cat)
    register("aten.stack", lower_stack)
    register("aten.slice_scatter", lower_scatter)
    register("aten.select_scatter", lower_scatter)
