"""What names stand for: a graph's own values, and those of the graphs around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.errors import CheckpointError

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.convert import Converter
    from wsgraph.frontends.onnx.emitter import Operand

__all__ = ["Scope"]


class Scope:
    """A chain of name tables, the innermost graph first.

    Args:
        converter: what translates the nodes of subgraphs.
        outer: the scope of the graph around this one; None at the top, and inside functions, which see
            only their own names.
    """

    def __init__(self, converter: Converter, outer: Scope | None = None) -> None:
        self.converter = converter
        self._outer = outer
        self._values: dict[str, Operand] = {}

    def __setitem__(self, name: str, operand: Operand) -> None:
        self._values[name] = operand

    def __getitem__(self, name: str) -> Operand:
        if name in self._values:
            return self._values[name]
        if self._outer is None:
            raise CheckpointError(
                f"a node reads {name!r}, which nothing before it makes",
                remedy="the graph is cyclic, unsorted or cut off: export it again",
            )
        return self._outer[name]

    def get(self, name: str) -> Operand:
        """What a name stands for here, or None for an output that was left out."""
        return self._values.get(name)

    @property
    def is_inner(self) -> bool:
        """Whether this is the scope of a subgraph."""
        return self._outer is not None

    def inner(self) -> Scope:
        """The scope of a subgraph of this one."""
        return Scope(self.converter, self)
