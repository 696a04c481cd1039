"""Values of constants: index tensors, masks, anything that depends on no input and no parameter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wsgraph.ir.execute import call
from wsgraph.ir.graph import Graph, Op, Value, ValueKind

__all__ = ["ConstantPool"]


class ConstantPool:
    """Evaluates the constant part of a graph, once, when first asked.

    Args:
        graph: the graph; operators all of whose inputs are constants are run in order, in-place ones
            included, so that masks written slice by slice come out right.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values: dict[Value, Any] | None = None

    def get(self, value: Value) -> Tensor | None:
        """The constant's tensor, or None if it is not constant or was traced without values."""
        if value.data is not None:
            return value.data
        if self._values is None:
            self._values = self._evaluate()
        result = self._values.get(value)
        return result if isinstance(result, Tensor) and not result.is_meta else None

    def _evaluate(self) -> dict[Value, Any]:
        values: dict[Value, Any] = {}
        for tensor in self._graph.tensors.values():
            if tensor.kind is not ValueKind.PARAMETER and tensor.data is not None:
                values[tensor] = tensor.data
        with torch.no_grad():
            for op in self._graph.ops:
                if all(v in values for v in op.inputs()):
                    results = call(_on_cpu(op), values)
                    values.update(zip(op.outputs, results, strict=True))
        return values


def _on_cpu(op: Op) -> Op:
    """Factory functions were traced on the model's device, which may be meta."""
    kwargs = dict(op.kwargs)
    if "device" in kwargs:
        kwargs["device"] = torch.device("cpu")
    args = tuple(torch.device("cpu") if isinstance(a, torch.device) else a for a in op.args)
    return Op(op.key, op.target, args, kwargs, op.outputs, op.scope, op.mutates, op.aliases)
