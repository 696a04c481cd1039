"""Appending ATen operators to an IR graph: shapes by running on meta, constants by running for real."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from wsgraph.errors import CheckpointError
from wsgraph.frontends.convert import describe
from wsgraph.frontends.onnx.errors import data_dependent
from wsgraph.frontends.onnx.tensors import shortest
from wsgraph.ir.graph import Graph, Op, Value, ValueKind

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.initializers import Initializers

__all__ = ["Emitter", "Operand"]

aten = torch.ops.aten

Operand: TypeAlias = Value | Tensor | Sequence[Value | Tensor] | None
"""What an ONNX name stands for: a value of the graph, a constant, a sequence of those, or nothing."""

_TAKE_NUMBERS = frozenset({aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor})
"""Operators whose second argument may be a number, as torch.export writes ``x * 0.5``."""

_EXACT = (torch.float32, torch.float64)


class Emitter:
    """Builds one IR graph.

    Args:
        graph: the graph to append to.
        initializers: the model's stored tensors; those that operators read are declared in the graph.
    """

    def __init__(self, graph: Graph, initializers: Initializers) -> None:
        self.graph = graph
        self.initializers = initializers
        self.scope = ""
        self._names: set[str] = set()
        self._lifted: dict[int, Value] = {}
        self._kept: list[Tensor] = []

    def call(self, target: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
        """Emit one operator, or run it at once where nothing but constants goes in.

        Args:
            target: an ATen operator.
            *args: its arguments; values, constant tensors, initializers and plain Python data.
            **kwargs: likewise.

        Returns:
            A value (a tensor where everything was constant), or a list of them.
        """
        leaves, spec = pytree.tree_flatten((list(args), kwargs), is_leaf=lambda x: isinstance(x, Value))
        leaves = self._without_folded(leaves)
        if not any(isinstance(leaf, Value) for leaf in leaves):
            positional, keywords = pytree.tree_unflatten(leaves, spec)
            with torch.no_grad():
                return _plain(target(*positional, **keywords))
        if target in _TAKE_NUMBERS and isinstance(leaves[0], Value):
            leaves[1] = _as_number(leaves[1], len(leaves[0].shape))
        leaves = [self._argument(leaf) for leaf in leaves]
        metas = [_meta(leaf) for leaf in leaves]
        arguments: list[Any]
        arguments, keywords = pytree.tree_unflatten(metas, spec)
        with torch.no_grad():
            results = _plain(target(*arguments, **keywords))
        outputs = [self._result(r) for r in (results if isinstance(results, list) else [results])]
        arguments, keywords = pytree.tree_unflatten(leaves, spec)
        key, mutates, aliases = describe(target)
        self.graph.ops.append(
            Op(key, target, tuple(arguments), keywords, outputs, self.scope, mutates, aliases)
        )
        return outputs if isinstance(results, list) else outputs[0]

    def numbers(self, operand: Operand, what: str) -> Tensor:
        """The numbers of a constant operand.

        Raises:
            FrontendError: it depends on the model's input.
        """
        if isinstance(operand, Tensor):
            return operand
        if isinstance(operand, Value):
            known = self.initializers.numbers(operand)
            if known is not None:
                return known
        raise data_dependent(what, self.scope)

    def output(self, operand: Operand) -> Value:
        """An output of the model as a value of the graph; constants are lifted.

        Raises:
            CheckpointError: the output is left out, or a sequence within a sequence.
        """
        if isinstance(operand, Value):
            return self.initializers.declare(operand)
        if isinstance(operand, Tensor):
            return self._lift(operand)
        raise CheckpointError(
            "an output of the model is no tensor", remedy="export it with tensors as outputs"
        )

    def fresh_name(self, wanted: str) -> str:
        """A name that no value has yet."""
        name, k = wanted, 0
        while name in self._names or name in self.graph.tensors or name in self.initializers:
            k += 1
            name = f"{wanted}_{k}"
        self._names.add(name)
        return name

    def _without_folded(self, leaves: list[Any]) -> list[Any]:
        """Tensors that the exporter folded are constants where they meet nothing but constants."""
        if not any(isinstance(leaf, Tensor) for leaf in leaves):
            return leaves
        known = [self.initializers.folded(leaf) if isinstance(leaf, Value) else leaf for leaf in leaves]
        decided = all(k is not None or leaf is None for k, leaf in zip(known, leaves, strict=True))
        return known if decided else leaves

    def _argument(self, leaf: Any) -> Any:
        if isinstance(leaf, Value):
            return self.initializers.declare(leaf)
        return self._lift(leaf) if isinstance(leaf, Tensor) else leaf

    def _lift(self, tensor: Tensor) -> Value:
        if id(tensor) not in self._lifted:
            stored = self.initializers.stored(tensor)
            if stored is None:
                name = self.fresh_name("constant")
                value = Value(name, tuple(tensor.shape), tensor.dtype, ValueKind.CONSTANT, tensor)
                stored = self.graph.tensors[name] = value
            self._lifted[id(tensor)] = stored
            self._kept.append(tensor)  # an id means something only while its object lives
        return self._lifted[id(tensor)]

    def _result(self, tensor: Tensor) -> Value:
        name = self.fresh_name(f"v{len(self.graph.ops)}")
        return Value(name, tuple(int(s) for s in tensor.shape), tensor.dtype)


def _plain(result: Any) -> Any:
    return list(result) if isinstance(result, tuple | list) else result


def _as_number(leaf: Any, rank: int) -> Any:
    """A constant of one element as a plain number, where that changes neither shape nor type."""
    if isinstance(leaf, Tensor) and leaf.numel() == 1 and leaf.dim() <= rank and leaf.dtype in _EXACT:
        return shortest(leaf.item()) if leaf.dtype == torch.float32 else leaf.item()
    return leaf


def _meta(leaf: Any) -> Any:
    if isinstance(leaf, Value):
        return torch.empty(leaf.shape, dtype=leaf.dtype, device="meta")
    return leaf
