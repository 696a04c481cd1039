"""Which operators are read, from which opset on: the table of docs/onnx.md."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import onnx

from wsgraph.frontends.onnx.operators import load_all
from wsgraph.frontends.onnx.registry import OPSETS, operators

__all__ = ["table"]


def table() -> str:
    """A Markdown table: operator, opsets, and how it is read.

    An operator without a translation of its own is read by the definition that the ONNX standard gives.
    """
    load_all()
    rows = {}
    for name, entries in groupby(operators(), key=lambda e: e.op_type):
        module = next(iter(entries)).function.__module__.rpartition(".")[2]
        since = min(s.since_version for s in _schemas(name))
        rows[name] = f"| {name} | {max(since, OPSETS[0])}-{OPSETS[1]} | {module} |"
    for schema in _history():
        defined = schema.has_function or schema.has_context_dependent_function
        if not schema.domain and defined and schema.name not in rows and schema.since_version <= OPSETS[1]:
            first = max(min(_defined_from(schema.name)), OPSETS[0])
            rows[schema.name] = f"| {schema.name} | {first}-{OPSETS[1]} | ONNX's own definition |"
    return "\n".join(
        ["| operator | opsets | read by |", "| --- | --- | --- |", *(rows[n] for n in sorted(rows))]
    )


def _history() -> list[Any]:
    """Every version of every operator; onnx's stubs do not know all that a schema can be asked."""
    return list(onnx.defs.get_all_schemas_with_history())


def _schemas(name: str) -> list[Any]:
    return [s for s in _history() if s.name == name and not s.domain]


def _defined_from(name: str) -> list[int]:
    return [s.since_version for s in _schemas(name) if s.has_function or s.has_context_dependent_function]
