"""Recurrent layers that an exporter wrote one by one are one operator with several layers again."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Op, Value, ValueKind
from wsgraph.rewrites.dce import remove_dead_code
from wsgraph.rewrites.matching import Matcher, sort_operators

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph

__all__ = ["fuse_recurrent"]

aten = torch.ops.aten

_LAYERS = ("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.rnn_relu")
_MOVES = ("aten.permute", "aten.reshape", "aten.squeeze", "aten.transpose", "aten.unsqueeze", "aten.view")
_SAME = ("has_biases", "dropout", "train", "bidirectional", "batch_first")


def fuse_recurrent(graph: Graph) -> Graph:
    """``lstm(lstm(x))`` of one module to one ``lstm`` of two layers; GRU and RNN likewise.

    Layers of different modules, or of different sizes, stay apart.
    """
    while (pair := _stacked(graph)) is not None:
        graph = _joined(graph, *pair)
    return graph


def _stacked(graph: Graph) -> tuple[Op, Op] | None:
    """Two operators, the second of which continues the first."""
    matcher = Matcher(graph)
    for second in graph.ops:
        if second.key in _LAYERS:
            first = _layer_before(second, matcher)
            if first is not None and _alike(first, second):
                return first, second
    return None


def _layer_before(op: Op, matcher: Matcher) -> Op | None:
    """The layer whose sequence of results an operator reads, as it is and alone."""
    moves: list[Op] = []
    value = op.arguments["input"]
    while (move := matcher.made_by(value, *_MOVES)) is not None:
        if matcher.only_user(value) is None:
            return None
        moves.append(move)
        value = move.args[0]
    layer = matcher.made_by(value, op.key)
    if layer is None or layer.outputs[0] is not value or matcher.only_user(value) is None:
        return None
    return layer if _leaves_in_place(value.shape, moves[::-1]) else None


def _leaves_in_place(shape: tuple[int, ...], moves: list[Op]) -> bool:
    """Whether a chain of moves as a whole changes nothing: it is run on the numbers of the elements."""
    start = torch.arange(prod(shape)).reshape(shape)
    moved = start
    for move in moves:
        moved = move.target(moved, *move.args[1:], **move.kwargs)
    return torch.equal(moved, start)


def _alike(first: Op, second: Op) -> bool:
    one, other = first.arguments, second.arguments
    if first.scope != second.scope or any(one[name] != other[name] for name in _SAME):
        return False
    per = [len(a["params"]) // a["num_layers"] for a in (one, other)]
    if per[0] != per[1] or first.outputs[0].shape != second.outputs[0].shape:
        return False
    return [_is_zero(s) for s in _states(one)] == [_is_zero(s) for s in _states(other)]


def _joined(graph: Graph, first: Op, second: Op) -> Graph:
    """One operator in place of both; the first one's and the second one's last states are slices of its."""
    one, other = first.arguments, second.arguments
    made: list[Op] = []
    states = [_together(graph, pair, made) for pair in zip(_states(one), _states(other), strict=True)]
    hx: Any = states if isinstance(one["hx"], list | tuple) else states[0]
    depth = one["num_layers"] + other["num_layers"]
    settings = (one["has_biases"], depth, one["dropout"], one["train"], one["bidirectional"])
    arguments = (one["input"], hx, [*one["params"], *other["params"]], *settings, one["batch_first"])
    last = []
    for early, late in zip(first.outputs[1:], second.outputs[1:], strict=True):
        rows = early.shape[0], early.shape[0] + late.shape[0]
        last.append(Value(f"{late.name}_stack", (rows[1], *late.shape[1:]), late.dtype))
        for value, start, stop in ((early, 0, rows[0]), (late, *rows)):
            made.append(Op("aten.slice", aten.slice.Tensor, (last[-1], 0, start, stop), {}, [value]))
    outputs = [second.outputs[0], *last]
    made.append(Op(second.key, second.target, arguments, {}, outputs, second.scope))
    graph.ops = [op for op in graph.ops if op is not first and op is not second] + made
    graph.ops = sort_operators(graph)
    return remove_dead_code(graph)


def _states(arguments: dict[str, Any]) -> list[Value]:
    hx = arguments["hx"]
    return list(hx) if isinstance(hx, list | tuple) else [hx]


def _is_zero(state: Value) -> bool:
    """Whether an initial state is a constant of zeros."""
    return state.data is not None and not bool(state.data.any())


def _together(graph: Graph, states: tuple[Value, ...], made: list[Op]) -> Value:
    """Initial states below one another, ``[layers * directions, batch, size]``; zeros stay a constant."""
    rows = sum(state.shape[0] for state in states)
    shape = (rows, *states[0].shape[1:])
    if all(_is_zero(state) for state in states):
        name = f"{states[0].name}_{rows}"
        while name in graph.tensors:
            name += "_"
        zeros = torch.zeros(shape, dtype=states[0].dtype)
        graph.tensors[name] = Value(name, shape, zeros.dtype, ValueKind.CONSTANT, zeros)
        return graph.tensors[name]
    joined = Value(f"{states[0].name}_stack_{rows}", shape, states[0].dtype)
    made.append(Op("aten.cat", aten.cat.default, (list(states), 0), {}, [joined]))
    return joined
