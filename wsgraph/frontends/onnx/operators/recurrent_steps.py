"""Recurrent layers written out: every step is a few linear layers and element-wise operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__ = ["written_out"]

aten = torch.ops.aten

_DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
_FUNCTIONS: dict[str, Any] = {
    "sigmoid": aten.sigmoid.default,
    "tanh": aten.tanh.default,
    "relu": aten.relu.default,
    "softplus": aten.softplus.default,
}


class _Cell:
    """One direction of a recurrent layer."""

    def __init__(self, node: Node, direction: int, count: int) -> None:
        self.node = node
        self.call = node.call
        self.size = node.x(2).shape[-1]
        self.w, self.r = (self.call(aten.select.int, node.x(k), 0, direction) for k in (1, 2))
        self.bias = self.call(aten.select.int, node.x(3), 0, direction) if node.has(3) else None
        self.peephole = None
        if node.op_type == "LSTM" and node.has(7):
            self.peephole = self.call(aten.select.int, node.x(7), 0, direction)
        names = node.attr("activations") or _DEFAULTS[node.op_type] * count
        each = len(names) // count
        self.names = [n.lower() for n in names[direction * each : (direction + 1) * each]]
        if unknown := [n for n in self.names if n not in _FUNCTIONS]:
            raise node.refuse(f"the activation {unknown[0]}")

    def activated(self, k: int, x: Any) -> Any:
        """Activation ``k`` of the layer, of what is cut at ``clip`` before."""
        bound = self.node.attr("clip")
        cut = x if bound is None else self.call(aten.clamp.default, x, -bound, bound)
        return self.call(_FUNCTIONS[self.names[k]], cut)

    def gate(self, x: Any, h: Any, k: int) -> tuple[Any, Any]:
        """What gate ``k`` gets from the input and from the state, biases included."""
        rows, gates = self.size, self.w.shape[0] // self.size
        results = []
        for source, matrix, offset in ((x, self.w, 0), (h, self.r, gates * rows)):
            weight = self.call(aten.slice.Tensor, matrix, 0, k * rows, (k + 1) * rows)
            start = offset + k * rows
            bias = self.bias
            bias = None if bias is None else self.call(aten.slice.Tensor, bias, 0, start, start + rows)
            results.append(self.call(aten.linear.default, source, weight, bias))
        return results[0], results[1]

    def total(self, x: Any, h: Any, k: int) -> Any:
        """Both parts of a gate together."""
        return self.call(aten.add.Tensor, *self.gate(x, h, k))

    def peeped(self, total: Any, c: Any, k: int) -> Any:
        """A gate that also looks at the cell."""
        if self.peephole is None:
            return total
        weight = self.call(aten.slice.Tensor, self.peephole, 0, k * self.size, (k + 1) * self.size)
        return self.call(aten.add.Tensor, total, self.call(aten.mul.Tensor, c, weight))

    def step(self, x: Any, state: list[Any]) -> list[Any]:
        """The state after one more input."""
        return {"RNN": self._rnn, "GRU": self._gru, "LSTM": self._lstm}[self.node.op_type](x, state)

    def _rnn(self, x: Any, state: list[Any]) -> list[Any]:
        return [self.activated(0, self.total(x, state[0], 0))]

    def _gru(self, x: Any, state: list[Any]) -> list[Any]:
        h = state[0]
        update, reset = (self.activated(0, self.total(x, h, k)) for k in (0, 1))
        if self.node.attr("linear_before_reset", 0):
            given, kept = self.gate(x, h, 2)
            kept = self.call(aten.mul.Tensor, reset, kept)
        else:
            given, kept = self.gate(x, self.call(aten.mul.Tensor, reset, h), 2)
        new = self.activated(1, self.call(aten.add.Tensor, given, kept))
        difference = self.call(aten.sub.Tensor, h, new)
        return [self.call(aten.add.Tensor, new, self.call(aten.mul.Tensor, update, difference))]

    def _lstm(self, x: Any, state: list[Any]) -> list[Any]:
        h, c = state
        enter = self.activated(0, self.peeped(self.total(x, h, 0), c, 0))
        if self.node.attr("input_forget", 0):
            forget = self.call(aten.rsub.Scalar, enter, 1)
        else:
            forget = self.activated(0, self.peeped(self.total(x, h, 2), c, 2))
        candidate = self.activated(1, self.total(x, h, 3))
        kept = self.call(aten.mul.Tensor, forget, c)
        cell = self.call(aten.add.Tensor, kept, self.call(aten.mul.Tensor, enter, candidate))
        leave = self.activated(0, self.peeped(self.total(x, h, 1), cell, 1))
        return [self.call(aten.mul.Tensor, leave, self.call(_FUNCTIONS[self.names[2]], cell)), cell]


def written_out(node: Node) -> Any:
    """All steps of a recurrent layer.

    Returns:
        ``Y`` [length, directions, batch, size] and the last states [directions, batch, size]; with
        ``layout=1`` the batch comes first.
    """
    x = node.x(0)
    if node.attr("layout", 0):
        x = node.call(aten.transpose.int, x, 0, 1)
    way = node.attr("direction", "forward")
    count = 2 if way == "bidirectional" else 1
    runs = [_run(node, x, d, count, backwards=way == "reverse" or d == 1) for d in range(count)]
    steps = [node.call(aten.stack.default, run[0], 0) for run in runs]
    outputs = [node.call(aten.stack.default, steps, 1)]
    outputs += [node.call(aten.stack.default, [run[1][k] for run in runs], 0) for k in range(len(runs[0][1]))]
    if node.attr("layout", 0):
        outputs[0] = node.call(aten.permute.default, outputs[0], [2, 0, 1, 3])
        outputs[1:] = [node.call(aten.transpose.int, v, 0, 1) for v in outputs[1:]]
    return tuple(outputs)


def _run(node: Node, x: Any, direction: int, count: int, *, backwards: bool) -> tuple[list[Any], list[Any]]:
    """States after each step, in the input's order, and the last states."""
    cell = _Cell(node, direction, count)
    length, batch = x.shape[:2]
    state = [
        _initial(node, p, direction, batch, cell.size) for p in ((5, 6) if node.op_type == "LSTM" else (5,))
    ]
    lengths = node.numbers(4) if node.has(4) else torch.full((batch,), length)
    outputs: list[Any] = [None] * length
    for k in reversed(range(length)) if backwards else range(length):
        new = cell.step(node.call(aten.select.int, x, 0, k), state)
        alive = (lengths > k).unsqueeze(1)
        if bool(alive.all()):
            state, outputs[k] = new, new[0]
            continue
        zero = torch.zeros((), dtype=x.dtype)
        outputs[k] = node.call(aten.where.self, alive, new[0], zero)
        state = [node.call(aten.where.self, alive, n, old) for n, old in zip(new, state, strict=True)]
    return outputs, state


def _initial(node: Node, position: int, direction: int, batch: int, size: int) -> Any:
    if not node.has(position):
        return torch.zeros(batch, size, dtype=node.x(0).dtype)
    return node.call(aten.select.int, node.x(position), 1 if node.attr("layout", 0) else 0, direction)
