"""Control flow that is decided by constants: branches and loops are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.frontends.onnx.errors import data_dependent
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.emitter import Operand
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_MOST_STEPS = 1024
"""Longer loops would give graphs that nobody can look at."""


@operator("If")
def _if(node: Node) -> Any:
    taken = "then_branch" if bool(node.numbers(0)) else "else_branch"
    return tuple(node.scope.converter.graph(node.attr(taken), node.scope.inner(), []))


@operator("Loop")
def _loop(node: Node) -> Any:
    """The body once a step; its condition has to stay a constant."""
    body = node.attr("body")
    count = int(node.numbers(0)) if node.has(0) else None
    going = bool(node.numbers(1)) if node.has(1) else True
    carried: list[Operand] = list(node.inputs[2:])
    scans: list[list[Operand]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    step = 0
    while going and (count is None or step < count):
        if step >= _MOST_STEPS:
            raise node.refuse(f"a loop of more than {_MOST_STEPS} steps")
        inputs: list[Operand] = [torch.tensor(step), torch.tensor(going), *carried]
        condition, *results = node.scope.converter.graph(body, node.scope.inner(), inputs)
        carried = results[: len(carried)]
        for scan, result in zip(scans, results[len(carried) :], strict=True):
            scan.append(result)
        if not isinstance(condition, Tensor):
            raise data_dependent("the condition of a loop", str(node))
        going = bool(condition)
        step += 1
    return (*carried, *(_stacked(node, scan) for scan in scans))


def _stacked(node: Node, parts: list[Any], axis: int = 0) -> Any:
    if not parts:
        return torch.empty(0)
    return node.call(aten.stack.default, parts, axis)


@operator("Scan", since=9)
def _scan(node: Node) -> Any:
    """The body once a position of the scanned inputs."""
    body = node.attr("body")
    scanned = node.attr("num_scan_inputs")
    states: list[Operand] = list(node.inputs[: len(node.inputs) - scanned])
    sequences = [node.x(len(states) + k) for k in range(scanned)]
    axes = node.attr("scan_input_axes") or [0] * scanned
    backwards = node.attr("scan_input_directions") or [0] * scanned
    length = sequences[0].shape[axes[0]]
    outputs = len(body.output) - len(states)
    collected: list[list[Any]] = [[] for _ in range(outputs)]
    for step in range(length):
        slices = [
            node.call(aten.select.int, x, axis, length - 1 - step if back else step)
            for x, axis, back in zip(sequences, axes, backwards, strict=True)
        ]
        results = node.scope.converter.graph(body, node.scope.inner(), [*states, *slices])
        states = results[: len(states)]
        for scan, result in zip(collected, results[len(states) :], strict=True):
            scan.append(result)
    out_axes = node.attr("scan_output_axes") or [0] * outputs
    turned = node.attr("scan_output_directions") or [0] * outputs
    parts = [list(reversed(c)) if back else c for c, back in zip(collected, turned, strict=True)]
    return (*states, *(_stacked(node, p, a) for p, a in zip(parts, out_axes, strict=True)))


@operator("SequenceMap")
def _sequence_map(node: Node) -> Any:
    """The body once an element of the first sequence; further tensors go into every call."""
    body, first = node.attr("body"), node.opt(0)
    if not isinstance(first, list):
        raise node.refuse("a tensor in place of a sequence")
    collected: list[list[Any]] = [[] for _ in body.output]
    for k in range(len(first)):
        inputs = [i[k] if isinstance(i, list) else i for i in node.inputs]
        results = node.scope.converter.graph(body, node.scope.inner(), inputs)
        for items, result in zip(collected, results, strict=True):
            items.append(result)
    return tuple(collected)
