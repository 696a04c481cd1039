"""Writes into a part of a tensor (``x[:, :, 0] = y``) become scatters that give a new tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.provenance.moves import IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["functionalize"]

_REORDERING = frozenset({"aten.movedim", "aten.moveaxis", "aten.swapdims"})
"""Whole views in another order that nothing here undoes; those but for these and turns are reshaped back."""


def _swapped(first: str, second: str) -> Callable[[dict[str, Any], int], list[int]]:
    def order(arguments: dict[str, Any], rank: int) -> list[int]:
        a, b = (int(arguments[name]) % rank for name in (first, second))
        return [b if d == a else a if d == b else d for d in range(rank)]

    return order


def _inverted(arguments: dict[str, Any], rank: int) -> list[int]:
    order = [d % rank for d in arguments["dims"]]
    return [order.index(d) for d in range(rank)]


_TURNED_BACK: dict[str, Callable[[dict[str, Any], int], list[int]]] = {
    "aten.transpose": _swapped("dim0", "dim1"),
    "aten.swapaxes": _swapped("axis0", "axis1"),
    "aten.permute": _inverted,
    "aten.t": lambda _, rank: list(reversed(range(rank))),
}
"""The order of dimensions that undoes a view, from its arguments and the number of dimensions."""


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
        UnsupportedOperatorError: a write through a view that cannot be put back, or that another view sees.
    """
    if any(op.mutates for op in graph.ops):
        _Functionalizer(graph).run()
    return graph


class _Functionalizer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.live = _depending(graph)
        self.last_use = _last_uses(graph)
        self.steps: dict[Value, _Step] = {}
        self.renamed: dict[Value, Value] = {}
        self.views: dict[Value, list[Value]] = {}

    def run(self) -> None:
        ops: list[Op] = []
        for position, op in enumerate(self.graph.ops):
            op.rename_inputs({v: _latest(v, self.renamed) for v in op.inputs() if v in self.renamed})
            ops.append(op)
            first = op.inputs()[0] if op.inputs() else None
            if first is None or op.key in IDENTITIES:
                continue
            if op.aliases:
                self.steps.update({part: _Step(first, op, part) for part in op.outputs})
                self.views.setdefault(_root(first, self.steps), []).extend(op.outputs)
            if op.mutates and first in self.steps and self.matters(op, first, position):
                self.check_other_views(op, first, position)
                ops.extend(self.scatter(op, first))
        self.graph.ops = ops
        self.graph.outputs = [_latest(v, self.renamed) for v in self.graph.outputs]

    def matters(self, op: Op, part: Value, position: int) -> bool:
        """Whether the tensor that the part was taken from is read again, and is more than a constant."""
        if not any(v in self.live for v in (*op.inputs(), _root(part, self.steps))):
            return False
        while part in self.steps:
            part = self.steps[part].base
            if self.last_use.get(part, -1) > position:
                return True
        return False

    def scatter(self, write: Op, part: Value) -> list[Op]:
        """Put the written part back, view by view, up to the tensor that it was a part of."""
        out: list[Op] = []
        new = write.outputs[0]
        while part in self.steps:
            step = self.steps[part]
            base = Value(f"{new.name}_into_{step.base.name}", step.base.shape, step.base.dtype)
            out.append(_inverse(write, step, new, base))
            self.renamed[step.base] = base
            self.last_use[base] = self.last_use.get(step.base, -1)
            if step.base in self.live or new in self.live:
                self.live.add(base)
            part, new = step.base, base
            if part in self.steps:
                self.steps[new] = _Step(self.steps[part].base, self.steps[part].op, new)
        return out

    def check_other_views(self, op: Op, part: Value, position: int) -> None:
        """No view taken before may see the write and be read after it."""
        root = _root(part, self.steps)
        chain = {part}
        while part in self.steps:
            part = self.steps[part].base
            chain.add(part)
        written: set[int] | None = None
        for view in self.views.get(root, ()):
            # A view that an earlier write was put back into goes by another name now.
            if _latest(view, self.renamed) in chain or self.last_use.get(view, -1) <= position:
                continue
            if written is None:
                written = set(_elements(op.inputs()[0], self.steps).flatten().tolist())
            if written & set(_elements(view, self.steps).flatten().tolist()):
                raise UnsupportedOperatorError(
                    f"{op!r} writes in place into elements that {view!r}, taken before, still shows",
                    remedy="write into the tensor first and take views of it afterwards",
                )


def _last_uses(graph: Graph) -> dict[Value, int]:
    uses = {value: position for position, op in enumerate(graph.ops) for value in op.inputs()}
    return uses | dict.fromkeys(graph.outputs, len(graph.ops))


def _elements(value: Value, steps: dict[Value, _Step]) -> torch.Tensor:
    """Which elements of its root a view shows, found by running the views on element numbers."""
    path = []
    while value in steps:
        path.append(steps[value])
        value = steps[value].base
    out = torch.arange(math.prod(value.shape)).view(value.shape)
    for step in reversed(path):
        result = step.op.target(out, *step.op.args[1:], **step.op.kwargs)
        out = result[step.op.outputs.index(step.part)] if isinstance(result, tuple | list) else result
    return out


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


def _inverse(write: Op, step: _Step, new: Value, base: Value) -> Op:
    """The operator that gives the whole tensor back, the written part in its place."""
    arguments = step.op.arguments
    args: tuple[Any, ...]
    if step.op.key in ("aten.slice", "aten.select"):
        name = "slice_scatter" if step.op.key == "aten.slice" else "select_scatter"
        where = [n for n in ("dim", "start", "end", "step", "index") if n in arguments]
        args = (step.base, new, *(arguments[n] for n in where))
    elif step.op.key in _TURNED_BACK:
        name, args = "permute", (new, _TURNED_BACK[step.op.key](arguments, len(base.shape)))
    elif math.prod(new.shape) == math.prod(base.shape) and step.op.key not in _REORDERING:
        name, args = "reshape", (new, list(base.shape))
    else:
        raise UnsupportedOperatorError(
            f"{write!r} writes in place into a part of a tensor taken by {step.op.key!r}",
            remedy="write into slices or selections, or build the tensor with torch.cat",
        )
    target = getattr(torch.ops.aten, name).default
    return Op(f"aten.{name}", target, args, {}, [base], write.scope)
