"""What patterns over the IR have in common: who makes a value, who reads it, and replacing operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.ir.graph import Graph, Op, Value
from wsgraph.rewrites.dce import remove_dead_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

__all__ = ["Matcher", "number", "replace_each", "sort_operators"]


class Matcher:
    """Questions about one graph.

    Args:
        graph: the graph; it must not be changed while questions are asked.
    """

    def __init__(self, graph: Graph) -> None:
        self._producers: Mapping[Value, Op] = {v: op for op in graph.ops for v in op.outputs}
        self._users = graph.users()
        self._results = set(graph.outputs)

    def made_by(self, value: Any, *keys: str) -> Op | None:
        """The operator that makes a value, if it is one of these."""
        op = self._producers.get(value) if isinstance(value, Value) else None
        return op if op is not None and op.key in keys else None

    def only_user(self, value: Value) -> Op | None:
        """The one operator that reads a value, or None if there are more, or the model returns it."""
        users = self._users.get(value, [])
        return users[0] if len(users) == 1 and value not in self._results else None


def number(argument: Any) -> float | None:
    """The one number that an argument is, plain or as a constant of one element."""
    if isinstance(argument, int | float) and not isinstance(argument, bool):
        return float(argument)
    data = argument.data if isinstance(argument, Value) else None
    return float(data) if data is not None and data.numel() == 1 else None


def replace_each(
    graph: Graph, rule: Callable[[Op, Matcher], tuple[torch._ops.OpOverload, str, tuple[Any, ...]] | None]
) -> Graph:
    """Replace operators by simpler calls; what nobody reads any more is removed.

    Args:
        graph: the graph, which is changed.
        rule: for the last operator of a pattern, the call that takes its place (operator, canonical name,
            arguments); None for everything else.
    """
    matcher = Matcher(graph)
    found = False
    for k, op in enumerate(graph.ops):
        call = rule(op, matcher)
        if call is not None:
            target, key, args = call
            graph.ops[k] = Op(key, target, args, {}, op.outputs, op.scope)
            found = True
            matcher = Matcher(graph)
    return remove_dead_code(graph) if found else graph


def sort_operators(graph: Graph) -> list[Op]:
    """The operators so that each comes after those whose results it reads, otherwise as they are."""
    producers = {value: op for op in graph.ops for value in op.outputs}
    done: dict[int, Op] = {}
    for last in graph.ops:
        waiting = [last]
        while waiting:
            op = waiting[-1]
            missing = [producers[v] for v in op.inputs() if v in producers and id(producers[v]) not in done]
            if missing:
                waiting += missing
            else:
                done.setdefault(id(waiting.pop()), op)
    return list(done.values())
