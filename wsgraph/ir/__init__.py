"""The intermediate representation that all frontends produce."""

from wsgraph.ir.graph import Graph, Op, Value, ValueKind

__all__ = ["Graph", "Op", "Value", "ValueKind"]
