"""Contractions with named dimensions: einsum, and batched products with a parameter."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import Pattern
from wsgraph.lowering import contraction, mixing
from wsgraph.lowering.alignment import combine
from wsgraph.lowering.per_neuron import scale_by_parameter
from wsgraph.lowering.sources import Sources, find_sources
from wsgraph.provenance.axes import Activation, Axis, broadcast, distinct_rows, restrict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.lowering.builder import GraphBuilder, Nodes
    from wsgraph.provenance.params import ParamValue

__all__ = ["contract_named", "mix_named"]


def mix_named(
    graph: GraphBuilder, left: Activation, a: str, right: Activation, b: str, out: str
) -> Activation:
    """Contract two activations whose dimensions carry letters.

    Args:
        graph: the builder.
        left: first operand.
        a: its letters, one a dimension.
        right: second operand.
        b: its letters.
        out: the result's letters; one that it lacks is summed over and belongs to both operands.
    """
    contracted = [c for c in dict.fromkeys(a + b) if c not in out]
    sizes = {**dict(zip(a, left.shape, strict=True)), **dict(zip(b, right.shape, strict=True))}
    letters = out + "".join(contracted)
    joint = tuple(sizes[c] for c in letters)
    shape = tuple(sizes[c] for c in out)
    spread = [_spread(x, names, letters, joint) for x, names in ((left, a), (right, b))]
    if not contracted:
        return combine(graph, spread[0], spread[1], "product")
    return mixing.mix(graph, spread[0], spread[1], len(contracted), shape)


def _spread(x: Activation, own: str, letters: str, joint: tuple[int, ...]) -> Activation:
    axes = tuple(a.with_labels(_align(a.labels, own, letters).expand(joint)) for a in x.axes)
    return replace(x, shape=joint, axes=axes)


def _align(labels: Tensor, own: str, letters: str) -> Tensor:
    """Permute to the letters' order, with dimensions of size 1 for those that are missing."""
    ordered = labels.permute([own.index(c) for c in letters if c in own])
    for d, c in enumerate(letters):
        if c not in own:
            ordered = ordered.unsqueeze(d)
    return ordered


def contract_named(
    graph: GraphBuilder, x: Activation, a: str, weight: ParamValue, b: str, out: str
) -> Activation:
    """Contract an activation with a parameter; a layer with one part for each shared, kept letter.

    Args:
        graph: the builder.
        x: the activation.
        a: its letters.
        weight: the parameter.
        b: its letters.
        out: the result's letters; one that it lacks is summed over and belongs to both operands.
    """
    sizes = {**dict(zip(b, weight.shape, strict=True)), **dict(zip(a, x.shape, strict=True))}
    summed = [c for c in a if c in b and c not in out]
    shared = [c for c in b if c in a and c in out]
    new = [c for c in b if c not in a]
    if not summed:
        return _product(graph, x, a, weight, b, out)
    sources = find_sources(graph, x, [a.index(c) for c in summed])
    order = [*shared, *new, *[c for c in a if c in summed]]
    n_shared, n_new = (math.prod(sizes[c] for c in part) for part in (shared, new))
    laid = weight.apply(lambda t: t.permute([b.index(c) for c in order])).reshape(n_shared, n_new, -1, 1)
    dst, part, table = _layer(graph, sources, laid, a, shared, sizes)
    result = _result(sources, dst, part, table, a, new, out, sizes)
    own, *others = result.axes
    for axis in others:
        if axis.is_nodes and {*axis.dims} & {*own.dims}:
            mixing.note_meeting(graph, axis, own)
    return result


def _product(graph: GraphBuilder, x: Activation, a: str, weight: ParamValue, b: str, out: str) -> Activation:
    """Every element by its own number; letters of the parameter alone make an outer product."""
    sizes = {**dict(zip(b, weight.shape, strict=True)), **dict(zip(a, x.shape, strict=True))}
    shape = tuple(sizes[c] for c in out)
    laid = weight.apply(lambda t: _align(t, b, out))
    return scale_by_parameter(graph, _spread(x, a, out, shape), laid)


def _layer(
    graph: GraphBuilder,
    sources: Sources,
    weight: ParamValue,
    a: str,
    shared: list[str],
    sizes: Mapping[str, int],
) -> tuple[Nodes, Tensor, Tensor]:
    """Nodes of the layer, the part of each kept position, and the nodes ``[parts, new]`` of each part."""
    n_shared, n_new = weight.shape[:2]
    role = "logits" if sources.axis.attention is not None else "hidden"
    position = torch.arange(n_shared).view([sizes[c] for c in shared]) if shared else torch.zeros(())
    part = _align(position.long(), "".join(shared), a)
    if not any(a[d] in shared for d in sources.axis.dims):
        feature, table = _distinct_outputs(weight)
        n_out = feature.shape[0]
        dst = graph.add_nodes(sources.groups * n_out, role=role)
        contraction.connect(graph, sources, dst, feature)
        rank, part = broadcast([restrict(sources.rank, sources.axis.dims), part])
        group = torch.arange(sources.groups).view(-1, 1, 1)
        return dst, rank * n_shared + part, (group * n_out + table).view(-1, n_new)
    # Neurons that differ from part to part (heads): a layer for each combination that occurs.
    live = [d for d in range(len(a)) if d in sources.axis.dims or a[d] in shared]
    rank, part = broadcast([restrict(sources.rank, live), part])
    pair, first = distinct_rows([rank, part])
    ranks, parts = rank.reshape(-1)[first], part.reshape(-1)[first]
    feature = weight.select(0, parts)
    dst = graph.add_nodes(len(first) * n_new, role=role)
    ids, via = sources.ids[ranks].reshape(-1), sources.activation.via
    graph.add_edge_block(ids, dst, feature, Pattern.GROUPED, feature.shape, ticks=sources.ticks, via=via)
    return dst, pair, torch.arange(dst.size).view(-1, n_new)


def _distinct_outputs(weight: ParamValue) -> tuple[ParamValue, Tensor]:
    """The distinct neurons of a layer whose weights are gathered: positions that share a row share a neuron.

    Relative positions: a table's row serves every pair of a query and a key at its distance.

    Args:
        weight: ``[shared, new, width, 1]``.

    Returns:
        The weights ``[n_distinct, width, 1]``, and the neuron of each position ``[shared, new]``.
    """
    n_shared, n_new, width, _ = weight.shape
    flat = weight.reshape(n_shared * n_new, width, 1)
    if flat.index is None and n_shared * n_new * width <= weight.size:
        return flat, torch.arange(n_shared * n_new).view(n_shared, n_new)
    elements = flat.elements().squeeze(-1)
    rank, first = distinct_rows(list(elements.unbind(1)))
    return flat.select(0, first), rank.view(n_shared, n_new)


def _result(
    sources: Sources,
    dst: Nodes,
    part: Tensor,
    table: Tensor,
    a: str,
    new: list[str],
    out: str,
    sizes: Mapping[str, int],
) -> Activation:
    kept = "".join(c for c in a if c in out)
    shape = tuple(sizes[c] for c in out)
    flat = part.reshape([n for n, c in zip(part.shape, a, strict=True) if c in kept])
    local = table[flat].view([*flat.shape, *[sizes[c] for c in new]])
    labels = dst.base + _align(local, kept + "".join(new), out)
    axes = [Axis(labels.expand(shape))]
    for axis in sources.activation.axes:
        if axis is sources.axis or not [d for d in axis.dims if a[d] in kept]:
            continue
        cut = restrict(axis.labels, [d for d in range(len(a)) if a[d] in kept])
        squeezed = cut.reshape([n for n, c in zip(cut.shape, a, strict=True) if c in kept])
        axes.append(axis.with_labels(_align(squeezed, kept, out).expand(shape)))
    return Activation(shape, tuple(axes), fresh=dst)
