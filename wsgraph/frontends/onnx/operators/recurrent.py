"""RNN, LSTM and GRU: torch's own layers where they mean the same, written out step by step otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.operators.recurrent_steps import written_out
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_TARGETS = {"LSTM": aten.lstm.input, "GRU": aten.gru.input}
_PLAIN_RNN = {"tanh": aten.rnn_tanh.input, "relu": aten.rnn_relu.input}
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Which of ONNX's gates (i, o, f, c; z, r, h) torch has at each place (i, f, g, o; r, z, n)."""

_USUAL = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}


@operator("RNN", "LSTM", "GRU")
def _recurrent(node: Node) -> Any:
    target = _torch_twin(node)
    if target is None:
        return written_out(node)
    x = node.x(0)
    both = node.attr("direction", "forward") == "bidirectional"
    directions, size = (2 if both else 1), node.x(2).shape[-1]
    if node.attr("layout", 0):
        x = node.call(aten.transpose.int, x, 0, 1)
    weights = [w for d in range(directions) for w in _layer(node, d, size)]
    states = [_start(node, position, directions, size) for position in _state_inputs(node)]
    hidden: Any = states if node.op_type == "LSTM" else states[0]
    tail = (node.has(3), 1, 0.0, False, both, False)
    out, *last = node.call(target, x, hidden, weights, *tail)
    length, batch = x.shape[:2]
    steps = node.call(aten.reshape.default, out, [length, batch, directions, size])
    if node.attr("layout", 0):
        steps = node.call(aten.transpose.int, steps, 0, 1)
        return (steps, *(node.call(aten.transpose.int, v, 0, 1) for v in last))
    return (node.call(aten.permute.default, steps, [0, 2, 1, 3]), *last)


def _torch_twin(node: Node) -> Any:
    """Torch's operator, or None where the node has something that it lacks."""
    given = [a.lower() for a in node.attr("activations") or []]
    count = 2 if node.attr("direction", "forward") == "bidirectional" else 1
    kind = node.op_type
    if node.attr("direction") == "reverse" or node.attr("clip") or _short_sequences(node):
        return None
    if kind == "RNN":
        chosen = given or ["tanh"] * count
        return _PLAIN_RNN.get(chosen[0]) if len(set(chosen)) == 1 else None
    peepholes = kind == "LSTM" and node.has(7)
    coupled = node.attr("input_forget", 0)
    early_reset = kind == "GRU" and not node.attr("linear_before_reset", 0)
    if peepholes or coupled or early_reset or (given and given != _USUAL[kind] * count):
        return None
    return _TARGETS[kind]


def _short_sequences(node: Node) -> bool:
    """Whether some sequences of the batch end early."""
    if not node.has(4):
        return False
    length = node.x(0).shape[1 if node.attr("layout", 0) else 0]
    return bool((node.numbers(4) != length).any())


def _state_inputs(node: Node) -> tuple[int, ...]:
    return (5, 6) if node.op_type == "LSTM" else (5,)


def _start(node: Node, position: int, directions: int, size: int) -> Any:
    """The state before the first step, ``[directions, batch, size]``."""
    if node.has(position):
        state = node.emitter.initializers.zeros(node.x(position))
        return node.call(aten.transpose.int, state, 0, 1) if node.attr("layout", 0) else state
    batch = node.x(0).shape[0 if node.attr("layout", 0) else 1]
    return torch.zeros(directions, batch, size, dtype=node.x(0).dtype)


def _layer(node: Node, direction: int, size: int) -> list[Any]:
    """Input weight, recurrent weight and both biases of one direction, gates in torch's order."""
    order = _ORDER[node.op_type]
    parts = [
        _reordered(node, node.call(aten.select.int, node.x(k), 0, direction), order, size) for k in (1, 2)
    ]
    if node.has(3):
        both = node.call(aten.select.int, node.x(3), 0, direction)
        rows = len(order) * size
        halves = (node.call(aten.slice.Tensor, both, 0, k * rows, (k + 1) * rows) for k in (0, 1))
        parts.extend(_reordered(node, bias, order, size) for bias in halves)
    return parts


def _reordered(node: Node, weight: Any, order: tuple[int, ...], size: int) -> Any:
    if len(order) == 1:
        return weight
    gates = [node.call(aten.slice.Tensor, weight, 0, g * size, (g + 1) * size) for g in order]
    return node.call(aten.cat.default, gates, 0)
