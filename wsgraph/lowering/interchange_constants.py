"""Constants whose values stay what they are, whichever checkpoint is bound."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from wsgraph.ir.constants import ConstantPool
from wsgraph.ir.graph import ValueKind

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.ir.graph import Graph, Value

__all__ = ["Constants"]


class Constants:
    """The constants of a graph.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._pool = ConstantPool(graph)

    def get(self, value: Value) -> Tensor | None:
        """A constant's value while compiling; None if it is not known."""
        return self._pool.get(value)

    def fixed(self, value: Value) -> Tensor | None:
        """A constant's value if no checkpoint can bring another one; None if that is not certain."""
        return None if value in self._saved else self._pool.get(value)

    @cached_property
    def _saved(self) -> set[Value]:
        """Buffers of the state dict, and everything that is computed from one."""
        saved = {v for v in self._graph.tensors.values() if v.kind is ValueKind.BUFFER}
        for op in self._graph.ops:
            if not saved.isdisjoint(op.inputs()):
                saved.update(op.outputs)
                if op.mutates:
                    saved.add(op.inputs()[0])
        return saved
