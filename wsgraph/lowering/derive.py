"""Derived tensors: parameters that the model computes from other parameters.

The computation is folded into a recipe that names what it came from, so that another checkpoint's
weights give another derived tensor without tracing again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import torch

from wsgraph.errors import LoweringError
from wsgraph.events.blocks import Derived
from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.provenance.params import ParamValue

__all__ = ["DERIVED_PREFIX", "Deriver"]

DERIVED_PREFIX = "__wsgraph__.derived."


@dataclass(eq=False)
class Deriver:
    """Names tensors that are computed from parameters, and writes down how.

    Attributes:
        values: the IR value behind each derived tensor, by name.
    """

    values: dict[str, Value] = field(default_factory=dict)

    def add(self, op: Op) -> list[ParamValue]:
        """The results of an operator between parameters, each a derived tensor."""
        out = []
        for value in op.outputs:
            name = f"{DERIVED_PREFIX}{len(self.values)}"
            self.values[name] = value
            out.append(ParamValue.whole(name, value.shape))
        return out

    def recipe(self, name: str, graph: Graph) -> Derived:
        """How a derived tensor is computed.

        Raises:
            LoweringError: it needs an operator outside ATen or a constant that a recipe cannot hold.
        """
        value = self.values[name]
        producers = {v: op for op in graph.ops for v in op.outputs}
        needed = _needed(value, producers)
        names: dict[Value, str] = {}
        sources: dict[str, None] = {}
        lines: list[list[Any]] = []
        for op in (o for o in graph.ops if o in needed):
            result = f"%{len(lines)}"
            arguments = _encode((list(op.args), dict(op.kwargs)), names, sources, op)
            lines.append([result, _functional_name(op), *arguments])
            if len(op.outputs) == 1:
                names[op.outputs[0]] = result
            else:
                for k, v in enumerate(op.outputs):
                    names[v] = f"%{len(lines)}"
                    lines.append([names[v], "getitem", [result, k], {}])
        last = int(names[value][1:])
        text = json.dumps(lines[: last + 1])
        return Derived(name, value.shape, tuple(sources), text)


def _functional_name(op: Op) -> str:
    """``aten.relu.default`` for ``relu_`` too: a recipe never writes to its arguments."""
    return f"{op.key}.{getattr(op.target, '_overloadname', 'default')}"


def _needed(value: Value, producers: dict[Value, Op]) -> set[Op]:
    needed: set[Op] = set()
    stack = [value]
    while stack:
        op = producers.get(stack.pop())
        if op is not None and op not in needed:
            needed.add(op)
            stack.extend(op.inputs())
    return needed


def _encode(tree: Any, names: dict[Value, str], sources: dict[str, None], op: Op) -> Any:
    """Arguments as JSON data: ``@name`` a tensor of the model, ``%k`` an earlier result."""
    if isinstance(tree, Value):
        return names[tree] if tree in names else _source(tree, sources, op)
    if isinstance(tree, list | tuple):
        return [_encode(t, names, sources, op) for t in tree]
    if isinstance(tree, dict):
        return {k: _encode(v, names, sources, op) for k, v in tree.items()}
    return _encode_leaf(tree)


def _source(value: Value, sources: dict[str, None], op: Op) -> str:
    if value.kind is ValueKind.CONSTANT:
        raise LoweringError(
            f"{op!r} computes a weight from the constant {value.name!r}, which is not in the state dict",
            remedy="register the constant as a persistent buffer of the module",
        )
    sources[value.name] = None
    return f"@{value.name}"


def _encode_leaf(leaf: Any) -> Any:
    if isinstance(leaf, str):
        return f"={leaf}"
    if isinstance(leaf, torch.dtype | torch.memory_format | torch.layout):
        return str(leaf)
    # A recipe runs where the weights are, whatever device the model was traced on.
    return None if isinstance(leaf, torch.device) else leaf
