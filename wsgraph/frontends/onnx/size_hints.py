"""What the first layers say of sizes that a model leaves open: a convolution knows its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import GraphProto, NodeProto
    from torch import Tensor

__all__ = ["size_hints"]

_BATCH_NORM = "BatchNormalization"
_RECURRENT = ("GRU", "LSTM", "RNN")


def size_hints(graph: GraphProto, tensors: Mapping[str, Tensor]) -> dict[tuple[str, int], int]:
    """Sizes by name of the input and dimension, for inputs that layers with stored weights read directly."""
    ranks = {i.name: len(i.type.tensor_type.shape.dim) for i in graph.input if i.name not in tensors}
    found: dict[tuple[str, int], int] = {}
    for node in graph.node:
        if len(node.input) < 2 or node.input[0] not in ranks or node.input[1] not in tensors:
            continue
        hint = _asked(node, tuple(tensors[node.input[1]].shape))
        if hint is not None:
            name, (dim, size) = node.input[0], hint
            found.setdefault((name, dim % max(ranks[name], 1)), size)
    return found


def _asked(node: NodeProto, weight: tuple[int, ...]) -> tuple[int, int] | None:
    """Which dimension of a node's first input has to have which size, given the shape of the second."""
    flags = {a.name: a.i for a in node.attribute}
    if node.op_type == "Conv" and len(weight) > 2:
        return 1, weight[1] * flags.get("group", 1)
    if node.op_type in ("ConvTranspose", _BATCH_NORM) and weight:
        return 1, weight[0]
    if node.op_type == "Gemm" and len(weight) == 2:
        return 0 if flags.get("transA") else 1, weight[1 if flags.get("transB") else 0]
    if node.op_type == "MatMul" and len(weight) > 1:
        return -1, weight[-2]
    if node.op_type in _RECURRENT and len(weight) == 3:
        return 2, weight[2]
    return None
