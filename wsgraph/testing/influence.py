"""The influence test: does a pair's edge carry what the network carries from neuron i to neuron j?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.events.blocks import EdgeBlock, ParamView
from wsgraph.ir.graph import Op, Value
from wsgraph.testing.differences import disturbs, touches
from wsgraph.testing.pairs import Pair, view_elements
from wsgraph.testing.sources import source_masks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.lowering.builder import Edges
    from wsgraph.testing.bench import Bench

__all__ = ["check_pair"]

_TABLES = frozenset({"aten.embedding", "aten.embedding_bag"})
"""Operators that look rows of a table up. Positions of a sequence too: an example shorter than the table
meets its first rows only."""

_COMPARISONS = frozenset(f"aten.{name}" for name in ("gt", "ge", "lt", "le"))
_ABSENT = {
    "aten.div": math.inf,
    "aten.maximum": math.inf,
    "aten.minimum": -math.inf,
    **dict.fromkeys(_COMPARISONS, math.inf),
}
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
    # From one step of a recurrence to the next there are ways around the pair.
    if not masks or not _any(targets) or bench.recurs(op):
        return _check_parameter(bench, op, name, pair)
    if _of_one_number(op):
        raise LookupError(f"{op!r} normalises single numbers, which gives zero whatever they are")
    absent = _ABSENT.get(op.key, 0.0)
    without = bench.overwritten(name, pair.elements, absent)
    if not _reaches(bench, op, masks, {}, targets):
        if bench.is_zero(name, pair.elements):
            return None  # parameters are random numbers: this weight is masked, and an edge of weight zero
        return "the source has no influence on the destination, although an edge connects them"
    if disturbs(*_moved(bench, op, masks, without), targets):
        return "the source still influences the destination when all parameters of the pair are zero"
    if other is not None:
        rest = bench.overwritten(name, other.elements, absent)
        if not _reaches(bench, op, masks, rest, targets):
            return f"zeroing another pair ({other.src} -> {other.dst}) removes the source's influence"
    return None


def _reaches(
    bench: Bench,
    op: Op,
    masks: Mapping[Value, Tensor],
    weights: Mapping[Value, Tensor],
    targets: list[Tensor],
) -> bool:
    """Whether the source's elements change the targets; a comparison turns round at large steps only."""
    sizes = (100.0, -100.0) if op.key in _COMPARISONS else (None,)
    return any(touches(*_moved(bench, op, masks, weights, size), targets) for size in sizes)


def _of_one_number(op: Op) -> bool:
    """Whether an operator subtracts from every number its own mean."""
    shape = op.inputs()[0].shape
    match op.key:
        case "aten.layer_norm" | "aten.native_layer_norm":
            return all(n == 1 for n in op.arguments["normalized_shape"])
        case "aten.group_norm":
            return math.prod(shape[1:]) == int(op.arguments["num_groups"])
        case "aten.instance_norm":
            return math.prod(shape[2:]) == 1
    return False


def _moved(
    bench: Bench,
    op: Op,
    masks: Mapping[Value, Tensor],
    weights: Mapping[Value, Tensor],
    size: float | None = None,
) -> tuple[list[Any], list[Any]]:
    """The operator's results before and after the source's elements change."""
    before = bench.run.call(op, {**bench.inputs(op), **weights})
    return before, bench.run.call(op, {**bench.moved(op, masks, size), **weights})


def _any(masks: list[Tensor]) -> bool:
    return any(bool(m.any()) for m in masks)


def _check_parameter(bench: Bench, op: Op, name: str, pair: Pair) -> str | None:
    """No activation stands behind the source: its parameters must change the destination and nothing else."""
    allowed = bench.reached(op, pair.dst_node)
    targets = bench.targets(op, allowed)
    if not _any(targets):
        raise LookupError(f"{op!r} gives no value of the destination")
    inputs = {**bench.inputs(op), **_one_token(bench, op, pair)}
    before = bench.run.call(op, inputs)
    # A weight that is computed may be zero as it is: behind a ReLU, say.
    other = 1.0 if bench.is_zero(name, pair.elements) else 0.0
    after = bench.run.call(op, {**inputs, **bench.overwritten(name, pair.elements, other)})
    if not touches(before, after, targets):
        return "the pair's parameters do not change the destination"
    if disturbs(before, after, [~t for t in targets]):
        for node in _owners(bench, op, name, pair.elements):
            allowed |= bench.reached(op, node)
        targets = bench.targets(op, allowed)
    if disturbs(before, after, [~t for t in targets]):
        return "the pair's parameters change other neurons than the destination"
    return None


def _one_token(bench: Bench, op: Op, pair: Pair) -> dict[Value, Tensor]:
    """For a table that is looked up: the positions that pick the source's row everywhere."""
    rows = op.arguments.get("indices")
    if isinstance(rows, list | tuple) and len(rows) == 1:
        rows = rows[0]
    by_input = isinstance(rows, Value) and bench.activation(rows) is not None
    if not isinstance(rows, Value) or not (op.key in _TABLES or (op.key == "aten.index" and by_input)):
        return {}
    return {rows: torch.full(rows.shape, pair.src, dtype=rows.dtype)}


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
