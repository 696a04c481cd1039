"""Element-wise operators: activations, residual sums, gates, per-neuron scales and shifts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.sources import join_axes
from wsgraph.provenance.axes import Activation, Axis
from wsgraph.provenance.moves import IDENTITIES
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation, State

_SUMS = frozenset({"aten.add", "aten.sub", "aten.rsub"})
_LINEAR = frozenset({*_SUMS, "aten.mul", "aten.div", "aten.neg", "aten.masked_fill"})
"""With a constant these only scale or shift: neurons stay what they are and nothing is noted."""

_SHAPE_KEEPING = (
    "softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax", "masked_fill", "hardswish",
    "log_sigmoid", "floor_divide", "__and__", "__or__", "__xor__", "__lshift__", "__rshift__",
)  # fmt: skip
"""Operators of torch's without its pointwise tag that keep every neuron where it is."""

_RUNNING = ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")


def annotate(graph: LoweringGraph, x: Activation, name: str) -> Activation:
    """Note an activation function on the newest neurons of an activation."""
    if x.nodes:
        newest = max(x.nodes, key=Axis.newest)
        graph.annotate(newest.ids(), name)
    return replace(x, via=(*x.via, name), fresh=None)


def lower_elementwise(op: Operation, graph: LoweringGraph) -> Activation:
    """Any element-wise operator: the number of activations among its inputs decides."""
    known = [(v, op.state(v)) for v in op.tensors()]
    activations = [s.expanded(op.shape) for _, s in known if isinstance(s, Activation)]
    parameters = [s for _, s in known if isinstance(s, ParamValue) and not _is_buffer(s)]
    constants = [v.shape for v, s in known if isinstance(s, Constant) or _is_buffer(s)]
    x = activations[0].told_apart(d for shape in constants for d in _may_differ(shape, len(op.shape)))
    if len(activations) == 1 and not parameters:
        if op.key in _LINEAR and not (
            op.key == "aten.div" and isinstance(op.state(op.tensors()[0]), Constant)
        ):
            return x
        return annotate(graph, x, op.name)
    kind = "sum" if op.key in _SUMS else "product"
    for other in activations[1:]:
        x = graph.combine(x, other, kind)
    for p in parameters:
        x = graph.shift(x, p) if kind == "sum" else graph.scale(x, p)
    return x


def _may_differ(shape: tuple[int, ...], rank: int) -> list[int]:
    """The dimensions of an operator's result along which an operand of this shape has several elements."""
    return [d + rank - len(shape) for d, n in enumerate(shape) if n > 1]


def _is_buffer(state: State | None) -> bool:
    return isinstance(state, ParamValue) and state.kind.value == "buffer"


def lower_identity(op: Operation, graph: LoweringGraph) -> Activation | tuple[Activation, ...]:
    """Casts, copies and dropout."""
    del graph
    x = op.as_activation(op.tensors()[0])
    return x if len(op.op.outputs) == 1 else (x,) * len(op.op.outputs)


def lower_running(op: Operation, graph: LoweringGraph) -> tuple[Activation, ...]:
    """Running sums and maxima: over positions every neuron keeps to itself, over neurons each makes one."""
    x = op.as_activation(op.tensors()[0])
    dim = int(op.argument("dim")) % len(x.shape)
    # Where a maximum lies is no neuron's value.
    places = tuple(Activation(v.shape, x.sites) for v in op.op.outputs[1:])
    over = [axis for axis in x.nodes if dim in axis.dims]
    if over:
        axis = join_axes(graph, over) if len(over) > 1 else over[0]
        kept = [a for a in x.axes if a not in over]
        return Activation(op.shape, (*kept, _running(graph, axis, dim, x.via)), via=(op.name,)), *places
    return annotate(graph, x, op.name).told_apart([dim]), *places


def _running(graph: LoweringGraph, axis: Axis, dim: int, via: tuple[str, ...]) -> Axis:
    """A node for each neuron, with learned edges from it and all before it."""
    small = axis.small().movedim(dim, -1)
    n = small.shape[-1]
    until = torch.arange(n).unsqueeze(1).minimum(torch.arange(n).unsqueeze(0))
    table = small[..., until].reshape(-1, n)
    nodes = graph.add_nodes(len(table), role="sum")
    graph.learned(table, nodes, "reduce", via=via)
    return Axis(nodes.ids.view(small.shape).movedim(-1, dim).expand(axis.labels.shape))


def lower_triangle(op: Operation, graph: LoweringGraph) -> Activation:
    """``tril`` and ``triu``: a mask over the last two dimensions."""
    return lower_elementwise(op, graph).told_apart([len(op.shape) - 2, len(op.shape) - 1])


def lower_copy(op: Operation, graph: LoweringGraph) -> Activation:
    """``x.copy_(y)``: the result is y, broadcast to x's shape."""
    del graph
    return op.as_activation(op.argument("src")).expanded(op.shape)


def lower_prelu(op: Operation, graph: LoweringGraph) -> Activation:
    """PReLU: the slope of each channel (dimension 1) is a parameter."""
    x, slope = op.activation("self", (1,)), op.required_param("weight")
    channels = slope.reshape(-1, *(1,) * (len(x.shape) - 2)) if len(x.shape) > 1 else slope
    return annotate(graph, graph.scale(x, channels), "prelu")


def lower_glu(op: Operation, graph: LoweringGraph) -> Activation:
    """Gated linear unit: the first half of a dimension times the sigmoid of the second."""
    x = op.activation("self")
    dim = int(op.argument("dim", -1)) % len(x.shape)
    halves = []
    for k in range(2):
        size = x.shape[dim] // 2
        axes = tuple(a.with_labels(a.labels.narrow(dim, k * size, size)) for a in x.axes)
        halves.append(Activation(op.shape, axes, x.via))
    return graph.combine(halves[0], annotate(graph, halves[1], "sigmoid"), "product")


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Everything that torch tags as pointwise, and the operators that keep neurons as they are."""
    register("pointwise", lower_elementwise)
    for name in _SHAPE_KEEPING:
        register(f"aten.{name}", lower_elementwise)
    for name in _RUNNING:
        register(f"aten.{name}", lower_running)
    for key in sorted(IDENTITIES):
        register(key, lower_identity)
    for name in ("tril", "triu"):
        register(f"aten.{name}", lower_triangle)
    register("aten.copy", lower_copy)
    register("aten.prelu", lower_prelu)
    register("aten.glu", lower_glu)
