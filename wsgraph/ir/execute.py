"""Running an IR graph: the oracle for frontends, rewrites and the influence test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.errors import FrontendError
from wsgraph.ir.graph import Graph, Op, Value, replace_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["call", "execute"]


def call(op: Op, lookup: Mapping[Value, Any]) -> list[Any]:
    """Run one operator on the values in ``lookup``; its results, in order."""
    args, kwargs = replace_values((op.args, op.kwargs), lookup)
    result = op.target(*args, **kwargs)
    return list(result) if isinstance(result, tuple | list) else [result]


def execute(
    graph: Graph,
    inputs: Sequence[Tensor],
    tensors: Mapping[str, Tensor],
    *,
    keep: bool = False,
) -> tuple[list[Tensor], dict[Value, Any]]:
    """Run the graph.

    Args:
        graph: what to run.
        inputs: one tensor a graph input.
        tensors: values of parameters and buffers by name; constants come from the graph itself.
        keep: also return every intermediate value, cloned so that in-place operators do not reach it.

    Returns:
        The outputs, and the intermediate values (empty unless ``keep``).

    Raises:
        FrontendError: a tensor is missing.
    """
    live: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for name, value in graph.tensors.items():
        tensor = tensors.get(name, value.data)
        if tensor is None:
            raise FrontendError(f"no value given for {name!r}, which the graph reads")
        live[value] = tensor
    kept: dict[Value, Any] = {}
    with torch.no_grad():
        for op in graph.ops:
            if keep:
                kept.update({v: _clone(live[v]) for v in op.inputs() if v not in kept})
            for value, result in zip(op.outputs, call(op, live), strict=True):
                live[value] = result
                if keep:
                    kept[value] = _clone(result)
    return [live[v] for v in graph.outputs], kept


def _clone(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
