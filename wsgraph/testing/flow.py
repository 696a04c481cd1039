"""No influence without an edge: a neuron changes, through an operator, itself and what its edges lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.ir.graph import Value
from wsgraph.lowering.interchange_ops import written_dims
from wsgraph.testing.bench import Bench, is_learned
from wsgraph.testing.differences import disturbs, touches
from wsgraph.testing.sources import source_masks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.ir.graph import Op
    from wsgraph.lowering.builder import Edges

__all__ = ["check_attention", "check_flow", "check_learned"]

_MIXES_BY_DEFINITION = frozenset(
    f"aten.{name}"
    for name in ("softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax", "cumsum",
                 "logcumsumexp", "local_response_norm", "normalize", "layer_norm", "native_layer_norm",
                 "rms_norm", "group_norm")
)  # fmt: skip
"""Neurons compete here without edges of their own (norms: where they have no weights)."""


def check_flow(bench: Bench, op: Op, node: int) -> str | None:
    """Whether one neuron influences, through one operator, a neuron that no edge leads to.

    Args:
        bench: the lowered model.
        op: any operator between activations.
        node: global number of a neuron among its inputs.
    """
    masks = source_masks(bench, op, node)
    if not masks or not _followed(bench, op):
        return None
    before = bench.run.call(op, bench.inputs(op))
    after = bench.run.call(op, bench.moved(op, masks))
    targets = bench.targets(op, bench.reached(op, node))
    if disturbs(before, after, [~t for t in targets]):
        return "a neuron influences elements that no edge leads to"
    return None


def _followed(bench: Bench, op: Op) -> bool:
    """Whether the results are followed neuron by neuron; statistics of norms and attention logits are not."""
    if op.key in _MIXES_BY_DEFINITION or any("norm" in e.dst.attrs for e in bench.edges_of(op)):
        return False
    states = [bench.activation(v) for v in op.outputs]
    return all(s is not None and s.nodes and not s.pending for s in states)


def check_learned(bench: Bench, op: Op, src: int, dst: int) -> str | None:
    """Whether a pair joined by a learned edge (residual, gate, reduction) influences one another at all.

    Args:
        bench: the lowered model.
        op: the operator whose lowering made the edge.
        src: global number of the source neuron.
        dst: global number of the destination neuron.
    """
    masks, targets = source_masks(bench, op, src), bench.targets(op, bench.reached(op, dst))
    if not masks or not any(bool(t.any()) for t in targets):
        return None
    places = {**_places(bench, op, masks), **_put(bench, op, masks, targets), **bench.without_extremes(op)}
    before = bench.run.call(op, {**bench.inputs(op), **places})
    # A maximum only follows what exceeds the others, a minimum what falls below them.
    for size in (None, 0.01, 100.0, -100.0):
        after = bench.run.call(op, {**bench.moved(op, masks, size), **places})
        if touches(before, after, targets):
            return None
    return "a learned edge joins neurons of which the first has no influence on the second"


def _places(bench: Bench, op: Op, masks: Mapping[Value, Tensor]) -> dict[Value, Tensor]:
    """Where the input decides which elements are picked: a place of the source, for all of them."""
    table, mask = op.inputs()[0], masks.get(op.inputs()[0])
    if mask is None or not bool(mask.any()):
        return {}
    place = mask.nonzero()[0].tolist()
    if op.key in _BY_INPUT:
        return _chosen(bench, op, place)
    if op.key != "aten.index":
        return {}
    found = {}
    for coordinate, index in zip(place, op.arguments["indices"], strict=False):
        if isinstance(index, Value) and index is not table and bench.activation(index) is not None:
            if index.dtype is torch.bool:
                return {}
            found[index] = torch.full(index.shape, coordinate, dtype=index.dtype)
    return found


def _put(bench: Bench, op: Op, masks: Mapping[Value, Tensor], targets: list[Tensor]) -> dict[Value, Tensor]:
    """Where the input decides what is written over: not the source, or the target by the source.

    An index of all places is one that the input decides, traced as if it selected everything.
    """
    if op.key not in _OVERWRITES:
        return {}
    given, found = op.arguments, {}
    table, values = given["self"], op.inputs()[-1]
    indices = enumerate(given["indices"]) if "indices" in given else [(int(given["dim"]), given["index"])]
    kept = table in masks and bool(masks[table].any())
    place = (masks[table] if kept else targets[0]).nonzero()[0].tolist()
    along = sorted(written_dims(op))
    own = [] if kept else [masks[values].nonzero()[0].tolist()[d] for d in along]
    for dim, index in indices:
        if index is None or index.dtype is torch.bool:
            continue
        size = table.shape[dim]
        if bench.activation(index) is not None or len(bench.run.values[index].unique()) == size > 1:
            chosen = torch.full(index.shape, (place[dim] + 1) % size, dtype=index.dtype)
            if not kept:
                chosen[_entry(own, index.shape)] = place[dim]
            found[index] = chosen
    return found


def _entry(place: list[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where a place of what is written has its index: of fewer dimensions, or the same for several places."""
    tail = place[len(place) - len(shape) :] if len(place) >= len(shape) else []
    return tuple(min(at, n - 1) for at, n in zip(tail, shape, strict=False))


_OVERWRITES = frozenset({"aten.index_put", "aten.scatter", "aten.index_copy"})

_BY_INPUT = frozenset({"aten.gather", "aten.take_along_dim", "aten.masked_fill"})


def _chosen(bench: Bench, op: Op, place: list[int]) -> dict[Value, Tensor]:
    """Positions along one dimension that are all the source's, or a mask that covers nothing."""
    decided = op.inputs()[1]
    if bench.activation(decided) is None:
        return {}
    dim = op.arguments.get("dim")
    coordinate = place[int(dim)] if dim is not None else 0
    return {decided: torch.full(decided.shape, coordinate, dtype=decided.dtype)}


def check_attention(bench: Bench, origin: Edges, position: int) -> str | None:
    """Whether a neuron reaches, between its own layer and an attention's result, nodes of other heads.

    Args:
        bench: the lowered model.
        origin: learned edges from a query, key or value projection.
        position: a position among the block's sources.
    """
    op = origin.op
    assert op is not None
    node = int(origin.src[position])
    home = _home(bench, node)
    if home is None:
        return None
    value, mask = home
    kept = bench.run.values[value]
    moved = torch.where(mask, bench.run.noise(kept), kept)
    after = bench.run.between(value, moved, op)
    # The neuron may feed keys or values through layers of their own on the way.
    targets = bench.targets(op, bench.reached(None, node))
    before = [bench.run.values[output] for output in op.outputs]
    if disturbs(before, after, [~t for t in targets]):
        return "a neuron influences another head's nodes"
    if is_learned(origin, "value") and not touches(before, after, targets):
        return "a value neuron influences none of its head's nodes"
    return None


def _home(bench: Bench, node: int) -> tuple[Value, Tensor] | None:
    """The first value that holds a neuron, and where."""
    for op in bench.lowered.graph.ops:
        for value, mask in zip(op.outputs, bench.targets(op, {node}), strict=True):
            if bool(mask.any()):
                return value, mask
    return None
