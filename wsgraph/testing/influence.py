"""The influence test: does a pair's edge carry what the network carries from neuron i to neuron j?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import EdgeBlock, ParamView
from wsgraph.ir.graph import Op, Value
from wsgraph.testing.pairs import Pair, view_elements
from wsgraph.testing.sources import source_masks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.lowering.builder import Edges
    from wsgraph.testing.bench import Bench

__all__ = ["check_feature", "check_pair", "silenced"]

_ABSENT = {"aten.div": math.inf}
"""The value of a parameter that lets nothing through, where it is not zero."""


def check_pair(bench: Bench, edge: EdgeBlock, origin: Edges, pair: Pair, other: Pair | None) -> str | None:
    """What is wrong with a pair's wiring, or None.

    Args:
        bench: the lowered model.
        edge: an edge block whose feature is parameters.
        origin: the same block in the builder.
        pair: the pair.
        other: another pair of the block that shares no parameter with it, if there is one.

    Raises:
        LookupError: the operator's results show neither end of the pair, so nothing can be checked.
    """
    op = origin.op
    assert op is not None
    assert isinstance(edge.feature, ParamView)
    masks = source_masks(bench, op, pair.src_node)
    targets = bench.targets(op, {pair.dst_node})
    name = edge.feature.name
    if not masks or not _any(targets):
        return _check_parameter(bench, op, name, pair)
    without = silenced(bench, name, pair.elements, _ABSENT.get(op.key, 0.0))
    if not _influences(bench, op, masks, targets, {}):
        return "the source has no influence on the destination, although an edge connects them"
    if _influences(bench, op, masks, targets, without):
        return "the source still influences the destination when all parameters of the pair are zero"
    if other is not None:
        rest = silenced(bench, name, other.elements, _ABSENT.get(op.key, 0.0))
        if not _influences(bench, op, masks, targets, rest):
            return f"zeroing another pair ({other.src} -> {other.dst}) removes the source's influence"
    return None


def silenced(bench: Bench, name: str, elements: Tensor, value: float = 0.0) -> dict[Value, Tensor]:
    """A tensor with some elements set to ``value``, for each IR value that holds it (tied names)."""
    graph = bench.lowered.graph
    derived = bench.lowered.deriver.values.get(name)
    holders = [derived] if derived is not None else [graph.tensors[name]]
    holders += [graph.tensors[alias] for alias, canonical in graph.ties.items() if canonical == name]
    changed = bench.run.values[holders[0]].contiguous().clone()
    changed.view(-1)[elements] = value
    return dict.fromkeys(holders, changed)


def _influences(
    bench: Bench,
    op: Op,
    masks: Mapping[Value, Tensor],
    targets: list[Tensor],
    weights: Mapping[Value, Tensor],
) -> bool:
    """Whether the destination's elements change when the source's elements do."""
    before = bench.run.call(op, {**bench.inputs(op), **weights})
    after = bench.run.call(op, {**bench.moved(op, masks), **weights})
    return any(bool((b[t] != a[t]).any()) for b, a, t in zip(before, after, targets, strict=True))


def _any(masks: list[Tensor]) -> bool:
    return any(bool(m.any()) for m in masks)


def _check_parameter(bench: Bench, op: Op, name: str, pair: Pair) -> str | None:
    """No activation stands behind the source: its parameters must change the destination and nothing else."""
    allowed = bench.reached(op, pair.dst_node)
    targets = bench.targets(op, allowed)
    if not _any(targets):
        raise LookupError(f"{op!r} gives no value of the destination")
    inputs = {**bench.inputs(op), **_one_token(bench, op, pair)}
    changed = _changes(bench, op, inputs, silenced(bench, name, pair.elements))
    if not any(bool((c & t).any()) for c, t in zip(changed, targets, strict=True)):
        return "the pair's parameters do not change the destination"
    if any(bool((c & ~t).any()) for c, t in zip(changed, targets, strict=True)):
        for node in _owners(bench, op, name, pair.elements):
            allowed |= bench.reached(op, node)
        targets = bench.targets(op, allowed)
    if any(bool((c & ~t).any()) for c, t in zip(changed, targets, strict=True)):
        return "the pair's parameters change other neurons than the destination"
    return None


def _one_token(bench: Bench, op: Op, pair: Pair) -> dict[Value, Tensor]:
    """For a table looked up by the model's input: the input that picks the source's row everywhere."""
    rows = op.arguments.get("indices")
    if op.key != "aten.embedding" or not isinstance(rows, Value) or bench.activation(rows) is None:
        return {}
    return {rows: torch.full(rows.shape, pair.src, dtype=rows.dtype)}


def _changes(
    bench: Bench, op: Op, inputs: Mapping[Value, Tensor], weights: Mapping[Value, Tensor]
) -> list[Tensor]:
    before = bench.run.call(op, inputs)
    after = bench.run.call(op, {**inputs, **weights})
    return [b != a for b, a in zip(before, after, strict=True)]


def _owners(bench: Bench, op: Op, name: str, elements: Tensor) -> set[int]:
    """Destinations of every pair that some of these parameters belong to: weights may be shared."""
    found: set[int] = set()
    for edge in bench.assembled.edges:
        origin = bench.assembled.origin[edge.id]
        if origin.op is not op or not isinstance(edge.feature, ParamView) or edge.feature.name != name:
            continue
        view = edge.feature
        hits = torch.isin(view_elements(view, (), bench.assembled.indices), elements).nonzero().flatten()
        for flat in hits.tolist():
            found.add(_destination(edge, origin, flat))
    return found


def _destination(edge: EdgeBlock, origin: Edges, flat: int) -> int:
    at = [int(k) for k in torch.unravel_index(torch.tensor(flat), edge.shape)]
    row = {"dense": at[0], "one_to_one": at[0]}.get(edge.pattern.value)
    if edge.pattern.value == "grouped":
        row = at[0] * edge.shape[1] + at[1]
    elif row is None:
        assert origin.coo is not None
        row = int(origin.coo[1, at[0]])
    return int(origin.dst.ids[row])


def check_feature(bench: Bench, op: Op, view: ParamView, row: int, node: int) -> str | None:
    """Whether a node's parameter (a bias) changes this node and nothing else; None if it does.

    Args:
        bench: the lowered model.
        op: the operator that reads the parameter.
        view: the feature, ``[size]``.
        row: the node's position in its block.
        node: its global number.

    Raises:
        LookupError: the operator's results do not show the node.
    """
    targets = bench.targets(op, bench.reached(op, node))
    if not _any(targets):
        raise LookupError(f"{op!r} gives no value of the node")
    elements = view_elements(view, (row,), bench.assembled.indices)
    if bool((elements < 0).all()):
        return None  # a structural zero, such as the keys' part of a bias that only queries and values have
    changed = _changes(bench, op, bench.inputs(op), silenced(bench, view.name, elements, 3.0))
    if not any(bool((c & t).any()) for c, t in zip(changed, targets, strict=True)):
        return "the node's parameter does not change it"
    shared = {int(node)}
    if any(bool((c & ~t).any()) for c, t in zip(changed, targets, strict=True)):
        shared |= _sharing(bench, op, view, elements)
        targets = bench.targets(op, shared)
    if any(bool((c & ~t).any()) for c, t in zip(changed, targets, strict=True)):
        return "the node's parameter changes other neurons"
    return None


def _sharing(bench: Bench, op: Op, view: ParamView, elements: Tensor) -> set[int]:
    """Nodes that have the same parameter element among their features."""
    found: set[int] = set()
    place = bench.assembled.place
    for block in bench.assembled.nodes:
        for other in block.features.values():
            if other.name == view.name:
                hits = torch.isin(view_elements(other, (), bench.assembled.indices), elements)
                rows = torch.isin(place[:, 1], hits.nonzero().flatten()) & (place[:, 0] == block.id)
                for node in rows.nonzero().flatten().tolist():
                    found |= bench.reached(op, node)
    return found
