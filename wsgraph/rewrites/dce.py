"""Dead code: operators that no output depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op, Value

__all__ = ["remove_dead_code"]


def remove_dead_code(graph: Graph) -> Graph:
    """Keep what the outputs depend on, in-place calls on live storage included."""
    root: dict[Value, Value] = {}
    writers: dict[Value, list[Op]] = {}
    producer: dict[Value, Op] = {}
    for op in graph.ops:
        first = op.inputs()[0] if (op.aliases or op.mutates) and op.inputs() else None
        for value in op.outputs:
            producer[value] = op
            if first is not None:
                root[value] = root.get(first, first)
        if op.mutates and first is not None:
            writers.setdefault(root.get(first, first), []).append(op)
    live: set[Op] = set()
    stack = list(graph.outputs)
    seen: set[Value] = set()
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        ops = list(writers.get(root.get(value, value), ()))
        if value in producer:
            ops.append(producer[value])
        for op in ops:
            if op not in live:
                live.add(op)
                stack.extend(op.inputs())
    graph.ops = [op for op in graph.ops if op in live]
    return graph
