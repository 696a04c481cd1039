"""Derived tensors: parameters that the model computes from other parameters.

The computation is folded into a recipe that names what it came from, so that another checkpoint's
weights give another derived tensor without tracing again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import LoweringError, StructureError, UnsupportedOperatorError
from wsgraph.events.blocks import Derived
from wsgraph.events.recipe_ops import lookup_operator
from wsgraph.ir.graph import Graph, Op, Value, ValueKind
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["DERIVED_PREFIX", "Deriver", "as_integers", "is_pure"]

DERIVED_PREFIX = "__wsgraph__.derived."


@dataclass(eq=False)
class Deriver:
    """Names tensors that are computed from parameters, and writes down how.

    Attributes:
        values: the IR value behind each derived tensor, by name.
        constants: the numbers of a constant, None where they are not known.
    """

    values: dict[str, Value] = field(default_factory=dict)
    constants: Callable[[Value], Tensor | None] = field(default=lambda _: None)
    _written: bool = False
    _known: tuple[Graph, dict[Value, Op], dict[Op, int]] | None = None

    def add(self, op: Op) -> list[ParamValue]:
        """The results of an operator between parameters, each a derived tensor."""
        out = []
        for value in op.outputs:
            name = f"{DERIVED_PREFIX}{len(self.values)}"
            self.values[name] = value
            out.append(ParamValue.whole(name, value.shape))
        return out

    def fixed(self, value: Value) -> ParamValue | None:
        """A constant as a weight that no checkpoint changes; None where its numbers are not known."""
        known = next((name for name, other in self.values.items() if other is value), None)
        if known is None:
            if self.constants(value) is None:
                return None
            known = f"{DERIVED_PREFIX}{len(self.values)}"
            self.values[known] = value
        return ParamValue.whole(known, value.shape, ValueKind.BUFFER)

    def recipe(self, name: str, graph: Graph, store: Callable[[Tensor], str]) -> Derived:
        """How a derived tensor is computed.

        Args:
            name: the derived tensor's.
            graph: the IR.
            store: keeps a tensor of integers in the stream and returns its name, for constants that the
                recipe cannot work out itself.

        Raises:
            UnsupportedOperatorError: it needs an operator that is not on the list of pure ones.
            LoweringError: it needs the model's input, or a constant whose numbers are not known.
        """
        value = self.values[name]
        producers, position = self._index(graph)
        stored: dict[Value, Tensor] = {}
        needed = _needed(value, producers, lambda v: self._must_be_stored(v, producers, stored))
        names: dict[Value, str] = {}
        sources: dict[str, None] = {}
        lines: list[list[Any]] = []
        for constant, tensor in stored.items():
            names[constant] = _write_stored(tensor, store(as_integers(tensor)), sources, lines)
        for op in sorted(needed, key=position.__getitem__):
            if not is_pure(op):
                raise _impure(op)
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

    def _index(self, graph: Graph) -> tuple[dict[Value, Op], dict[Op, int]]:
        """Who makes each value, and each operator's place; worked out once for a graph."""
        if self._known is None or self._known[0] is not graph:
            producers = {v: op for op in graph.ops for v in op.outputs}
            self._known = (graph, producers, {op: k for k, op in enumerate(graph.ops)})
            # A constant may have been written to after it was made; which one is not worth finding out.
            self._written = any(op.mutates for op in graph.ops)
        return self._known[1:]

    def _must_be_stored(
        self, value: Value, producers: Mapping[Value, Op], stored: dict[Value, Tensor]
    ) -> bool:
        """Whether a value is a constant that pure operators cannot make again; noted in ``stored`` then."""
        if value in stored:
            return True
        if value.kind not in (ValueKind.CONSTANT, ValueKind.RESULT):
            return False
        ops = _needed(value, producers, lambda _: False)
        leaves = {value, *(v for op in ops for v in op.inputs())} - {v for op in ops for v in op.outputs}
        if any(leaf.kind is not ValueKind.CONSTANT for leaf in leaves):
            return False
        if not leaves and not self._written and all(is_pure(op) and not op.mutates for op in ops):
            return False
        tensor = self.constants(value)
        if tensor is None:
            return False
        stored[value] = tensor
        return True


def is_pure(op: Op) -> bool:
    """Whether a recipe may hold an operator, or the functional twin of one that works in place."""
    try:
        lookup_operator(_functional_name(op))
    except StructureError:
        return False
    return True


def _impure(op: Op) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"a weight is computed by the operator {op.key!r}, at {op.scope or 'the top level'}, which is not on "
        "the list of pure operators that a graph may hold (wsgraph/events/recipe_ops.py)",
        remedy="compute the weight before compiling (torch.nn.utils.parametrize.remove_parametrizations), "
        "or pass --unsupported opaque",
    )


_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integers that have as many bytes as a number, to keep its bits in."""


def as_integers(tensor: Tensor) -> Tensor:
    """A constant's numbers as int32 or int64: whole numbers as they are, others by their bits."""
    bits = tensor.contiguous()
    if tensor.is_floating_point():
        bits = bits.view(_BITS[tensor.element_size()])
    return bits if bits.dtype is torch.int64 else bits.to(torch.int32)


def _write_stored(tensor: Tensor, name: str, sources: dict[str, None], lines: list[list[Any]]) -> str:
    """Lines that turn stored integers into the constant; returns the result's name."""
    sources[name] = None
    steps = [("aten._to_copy.default", tensor.dtype)]
    if tensor.is_floating_point():
        steps = [
            ("aten._to_copy.default", _BITS[tensor.element_size()]),
            ("aten.view.dtype", tensor.dtype),
        ]
    result = f"@{name}"
    for operator, dtype in steps:
        how: tuple[Any, ...] = (
            ([], {"dtype": str(dtype)}) if operator.startswith("aten._to") else ([str(dtype)], {})
        )
        lines.append([f"%{len(lines)}", operator, [result, *how[0]], how[1]])
        result = f"%{len(lines) - 1}"
    return result


def _functional_name(op: Op) -> str:
    """``aten.relu.default`` for ``relu_`` too: a recipe never writes to its arguments."""
    return f"{op.key}.{getattr(op.target, '_overloadname', 'default')}"


def _needed(value: Value, producers: Mapping[Value, Op], stop: Callable[[Value], bool]) -> set[Op]:
    needed: set[Op] = set()
    stack = [value]
    while stack:
        value = stack.pop()
        op = None if stop(value) else producers.get(value)
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
    if value.kind is ValueKind.INPUT:
        raise LoweringError(
            f"{op!r} computes a weight from the model's input {value.name!r}",
            remedy="networks whose weights depend on the input have no fixed graph",
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
