"""Four-bit numbers are read, held in bytes; results of their type would come out wrong, and are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import AttributeProto, TensorProto, inliner, shape_inference

from wsgraph.frontends.onnx.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, NodeProto

__all__ = ["refuse_four_bit_results"]

_FOUR_BITS = (TensorProto.UINT4, TensorProto.INT4)
_MAKE_A_TYPE = ("CastLike", "QuantizeLinear")
"""Operators whose result has the type of another input; ``Cast`` names its type."""


def refuse_four_bit_results(model: ModelProto) -> None:
    """Make sure that nothing in a model is rounded to four bits while it runs.

    Stored weights of four bits are exact in bytes, and so is what ``DequantizeLinear`` makes of them.

    Raises:
        UnsupportedTypeError: a node would have to round to four bits.
    """
    if not _has_four_bits(model):
        return
    flat = shape_inference.infer_shapes(inliner.inline_local_functions(model))
    known: set[str] = set()
    for graph in _graphs(flat.graph):
        infos = (*graph.input, *graph.output, *graph.value_info)
        known |= {i.name for i in infos if i.type.tensor_type.elem_type in _FOUR_BITS}
        known |= {t.name for t in graph.initializer if t.data_type in _FOUR_BITS}
        for node in graph.node:
            if node.op_type in _MAKE_A_TYPE and not known.isdisjoint((*node.input[1:], *node.output)):
                raise UnsupportedTypeError(
                    f"{node.op_type} {node.name!r} rounds to four bits while the model runs, "
                    "which is not supported; four-bit weights are",
                    remedy="quantise activations to eight bits, or only the weights to four",
                )


def _has_four_bits(model: ModelProto) -> bool:
    if any(i.type.tensor_type.elem_type in _FOUR_BITS for i in model.graph.input):
        return True
    nodes = [n for g in _graphs(model.graph) for n in g.node]
    nodes += [n for f in model.functions for n in f.node]
    inner = (t.data_type for g in _graphs(model.graph) for t in g.initializer)
    constant = (a.t.data_type for n in nodes if n.op_type == "Constant" for a in n.attribute)
    return any(kind in _FOUR_BITS for kinds in (inner, constant) for kind in kinds)


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and those inside it, outer ones first."""
    yield graph
    for node in graph.node:
        yield from _inner(node)


def _inner(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield from _graphs(onnx.helper.get_attribute_value(attribute))
