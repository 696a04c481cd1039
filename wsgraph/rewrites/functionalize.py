"""Writes into a part of a tensor (``x[:, :, 0] = y``) become scatters that give a new tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.ir.graph import Graph, Op, Value, ValueKind

__all__ = ["functionalize"]

_aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class _Step:
    """One view on the way from a tensor to the part that is written."""

    base: Value
    op: Op
    part: Value


def functionalize(graph: Graph) -> Graph:
    """Replace writes through views where the written tensor is read again.

    Tensors that depend on neither input nor parameters (masks written slice by slice) stay as they are:
    they are only ever run.

    Raises:
        UnsupportedOperatorError: a write through a view other than a slice or a selection.
    """
    if not any(op.mutates for op in graph.ops):
        return graph
    live = _depending(graph)
    steps: dict[Value, _Step] = {}
    renamed: dict[Value, Value] = {}
    ops: list[Op] = []
    for op in graph.ops:
        _rename(op, renamed)
        ops.append(op)
        first = op.inputs()[0] if op.inputs() else None
        if op.aliases and first is not None:
            steps.update({part: _Step(first, op, part) for part in op.outputs})
        if op.mutates and first in steps and any(v in live for v in (*op.inputs(), _root(first, steps))):
            ops.extend(_scatter(op, first, steps, renamed))
    graph.ops = ops
    graph.outputs = [_latest(v, renamed) for v in graph.outputs]
    return graph


def _depending(graph: Graph) -> set[Value]:
    """Values that depend on an input or a parameter."""
    live = {*graph.inputs, *(v for v in graph.tensors.values() if v.kind is ValueKind.PARAMETER)}
    for op in graph.ops:
        if any(v in live for v in op.inputs()):
            live.update(op.outputs)
            if op.mutates:
                live.add(op.inputs()[0])
    return live


def _root(value: Value, steps: dict[Value, _Step]) -> Value:
    while value in steps:
        value = steps[value].base
    return value


def _latest(value: Value, renamed: dict[Value, Value]) -> Value:
    while value in renamed:
        value = renamed[value]
    return value


def _rename(op: Op, renamed: dict[Value, Value]) -> None:
    if any(v in renamed for v in op.inputs()):
        op.args = _substitute(op.args, renamed)
        op.kwargs = _substitute(op.kwargs, renamed)
        op.forget_inputs()


def _substitute(tree: Any, renamed: dict[Value, Value]) -> Any:
    if isinstance(tree, Value):
        return _latest(tree, renamed)
    if isinstance(tree, list | tuple):
        return type(tree)(_substitute(t, renamed) for t in tree)
    if isinstance(tree, dict):
        return {k: _substitute(v, renamed) for k, v in tree.items()}
    return tree


def _scatter(write: Op, part: Value, steps: dict[Value, _Step], renamed: dict[Value, Value]) -> list[Op]:
    """Put the written part back, view by view, up to the tensor that it was a part of."""
    out: list[Op] = []
    new = write.outputs[0]
    while part in steps:
        step = steps[part]
        base = Value(f"{new.name}_into_{step.base.name}", step.base.shape, step.base.dtype)
        out.append(_inverse(write, step, new, base))
        renamed[step.base] = base
        part, new = step.base, base
        if part in steps:
            steps[new] = _Step(steps[part].base, steps[part].op, new)
    return out


def _inverse(write: Op, step: _Step, new: Value, base: Value) -> Op:
    arguments = step.op.arguments
    if step.op.key == "aten.slice":
        extra = (arguments["dim"], arguments["start"], arguments["end"], arguments["step"])
        return Op("aten.slice_scatter", _aten.slice_scatter.default, (step.base, new, *extra), {}, [base], write.scope)
    if step.op.key == "aten.select":
        extra = (arguments["dim"], arguments["index"])
        return Op("aten.select_scatter", _aten.select_scatter.default, (step.base, new, *extra), {}, [base], write.scope)
    if step.op.key in ("aten.alias", "aten.detach"):
        return Op("aten.alias", _aten.alias.default, (new,), {}, [base], write.scope)
    raise UnsupportedOperatorError(
        f"{write!r} writes in place into a part of a tensor taken by {step.op.key!r}",
        remedy="write into slices or selections, or build the tensor with torch.cat",
    )
