"""Linear layers and products with a parameter matrix (section 4.1)."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.named import contract_named
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def transpose(p: ParamValue) -> ParamValue:
    """``[n_in, n_out]`` to ``[n_out, n_in]``."""
    return p.apply(lambda t: t.transpose(-1, -2))


def lower_linear(op: Operation, graph: LoweringGraph) -> Activation:
    """+V n_out with the bias, +E dense; a Flatten before it gives parallel edges (App. F.1)."""
    weight = op.weight(op.argument("weight"), op.state(op.argument("input")), -1)
    if not isinstance(weight, ParamValue):
        x, w = op.activation("input"), op.activation("weight")
        product = graph.matmul(x, w.transposed, op.shape)
        bias = op.param("bias")
        return product if bias is None else graph.shift(product, bias)
    return graph.linear(op.activation("input"), weight, op.param("bias"))


def lower_addmm(op: Operation, graph: LoweringGraph) -> Activation:
    """``bias + x @ weight``, as GPT-2's Conv1D writes it."""
    weight, bias = op.state(op.argument("mat2")), op.state(op.argument("self"))
    if isinstance(weight, ParamValue) and isinstance(bias, ParamValue) and len(bias.shape) == 1:
        return graph.linear(op.activation("mat1"), transpose(weight), bias)
    product = multiply(op, graph, op.argument("mat1"), op.argument("mat2"))
    if isinstance(bias, ParamValue):
        return graph.shift(product, bias)
    left = op.as_activation(op.argument("self")).expanded(op.shape)
    return graph.combine(left, product, "sum")


def lower_matmul(op: Operation, graph: LoweringGraph) -> Activation:
    """A product of two tensors, parameter or activation on either side."""
    left, right = op.tensors()[:2]
    return multiply(op, graph, left, right)


def multiply(op: Operation, graph: LoweringGraph, left: Any, right: Any) -> Activation:
    """``left @ right``: a layer where one side is a parameter matrix, else mixing."""
    if op.vanishes(left) or op.vanishes(right):
        return Activation(op.shape, ())
    a, b = op.state(left), op.state(right)
    a, b = op.weight(left, b, -2 if len(right.shape) > 1 else -1), op.weight(right, a, -1)
    if isinstance(b, ParamValue) and len(b.shape) == 2 and not isinstance(a, ParamValue):
        return graph.linear(op.as_activation(left), transpose(b))
    if isinstance(a, ParamValue) and len(a.shape) == 2 and not isinstance(b, ParamValue):
        x = op.as_activation(right, (-2,))
        return graph.linear(x, a, dim=-2)
    if isinstance(b, ParamValue) and isinstance(a, Activation) and len(b.shape) > 2:
        return _batched(graph, op.shape, a, b, parameter_first=False)
    if isinstance(a, ParamValue) and isinstance(b, Activation) and len(a.shape) > 2:
        return _batched(graph, op.shape, b, a, parameter_first=True)
    heads = (-3,) if len(op.shape) > 3 else ()
    first = op.as_activation(left, (*heads, -1))
    contracted_last = any(axis.attention is not None for axis in first.axes)
    second = op.as_activation(right, (*heads, -1 if contracted_last else -2))
    return graph.matmul(first, second, op.shape)


def _batched(
    graph: LoweringGraph, shape: tuple[int, ...], x: Activation, p: ParamValue, *, parameter_first: bool
) -> Activation:
    """A batched product with a parameter, each batch entry a layer of its own."""
    batch = string.ascii_lowercase[: len(shape) - 2]
    first, second = batch + "mk".upper(), batch + "kn".upper()
    own, other = (second, first) if parameter_first else (first, second)
    x = x.expanded((*shape[:-2], *x.shape[-2:]))
    other = other[len(other) - len(p.shape) :]
    # A batch dimension of size 1 is broadcast: the parameter has no part of its own there.
    live = [d for d, n in enumerate(p.shape) if n > 1 or other[d].isupper()]
    p = p.reshape(*[p.shape[d] for d in live])
    return contract_named(graph, x, own, p, "".join(other[d] for d in live), batch + "MN")


def lower_baddbmm(op: Operation, graph: LoweringGraph) -> Activation:
    """``input + batch1 @ batch2``: attention logits with a mask or a bias."""
    product = multiply(op, graph, op.argument("batch1"), op.argument("batch2"))
    added = op.state(op.argument("self"))
    if isinstance(added, ParamValue):
        return graph.shift(product, added)
    if isinstance(added, Activation):
        return graph.combine(product, added.expanded(op.shape), "sum")
    return product


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Linear layers and matrix products."""
    register("aten.linear", lower_linear)
    register("aten.addmm", lower_addmm)
    register("aten.baddbmm", lower_baddbmm)
    for name in ("matmul", "mm", "bmm", "mv"):
        register(f"aten.{name}", lower_matmul)
