"""Tensors that another one lends nothing but its shape and type: ``zeros_like(x)`` is ``zeros(shape)``.

What is computed from them depends on no input then: masks and running states are constants whose values are
known, and a weight's recipe does not ask for an activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Op, Value

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph

__all__ = ["fix_shapes"]

_FILLED: dict[str, float] = {
    f"aten.{name}": value
    for value, names in (
        # What lies in memory that is left as it is found can matter to nobody.
        (0, ("zeros_like", "new_zeros", "empty_like", "new_empty", "empty")),
        (1, ("ones_like", "new_ones")),
    )
    for name in names
}
_GIVEN = frozenset({"aten.full_like", "aten.new_full"})
_VIEWS = {"aten.expand_as": "expand", "aten.view_as": "reshape", "aten.reshape_as": "reshape"}


def fix_shapes(graph: Graph) -> Graph:
    """Replace operators that read shapes or types by the same operators with numbers."""
    graph.ops = [_fixed(op) or op for op in graph.ops]
    return graph


def _fixed(op: Op) -> Op | None:
    given, result = op.arguments, op.outputs[0] if op.outputs else None
    if result is None or op.mutates:
        return None
    shape = list(result.shape)
    if op.key in _FILLED or op.key in _GIVEN:
        value = given["fill_value"] if op.key in _GIVEN else _FILLED[op.key]
        if isinstance(value, Value):
            return None
        return _call(op, "full", "default", (shape, value), {"dtype": result.dtype})
    if op.key in _VIEWS:
        return _call(op, _VIEWS[op.key], "default", (op.args[0], shape), {})
    if op.key == "aten.type_as" or (op.key == "aten.to" and isinstance(given.get("other"), Value)):
        return _call(op, "to", "dtype", (op.args[0], result.dtype), {})
    return None


def _call(op: Op, name: str, overload: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Op:
    target = getattr(getattr(torch.ops.aten, name), overload)
    return Op(f"aten.{name}", target, args, kwargs, op.outputs, op.scope, aliases=op.aliases)
