"""Einstein summation: a layer, attention, or an element-wise product, by its letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.letters import parse_equation
from wsgraph.lowering.named import contract_named, mix_named
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation, State


def lower_einsum(op: Operation, graph: LoweringGraph) -> Activation:
    """``aten.einsum`` of one or two operands without repeated letters, which the rewrites leave."""
    operands = op.argument("tensors")
    names, out = parse_equation(op.argument("equation"), [len(v.shape) for v in operands])
    if len(operands) == 1:
        return _single(op, graph, operands[0], names[0], out)
    if any(op.vanishes(v) for v in operands):
        return Activation(op.shape, ())
    left, right = _weights(op, operands, names, out)
    if isinstance(right, ParamValue) and isinstance(left, Activation):
        return contract_named(graph, left, names[0], right, names[1], out)
    if isinstance(left, ParamValue) and isinstance(right, Activation):
        return contract_named(graph, right, names[1], left, names[0], out)
    a, b = (op.as_activation(v) for v in operands)
    return mix_named(graph, a, names[0], b, names[1], out)


def _weights(op: Operation, operands: list[Any], names: list[str], out: str) -> list[State | None]:
    """What is known of two operands; a constant that sums over the other's neurons is a weight."""
    states = [op.state(v) for v in operands]
    summed = [c for c in names[0] if c in names[1] and c not in out]
    if not summed:
        return states
    return [
        op.weight(operands[0], states[1], names[1].index(summed[0])),
        op.weight(operands[1], states[0], names[0].index(summed[0])),
    ]


def _single(op: Operation, graph: LoweringGraph, value: Any, names: str, out: str) -> Activation:
    x = op.as_activation(value)
    lonely = [d for d, c in enumerate(names) if c not in out]
    kept = "".join(c for c in names if c in out)
    if lonely:
        shape = tuple(x.shape[names.index(c)] for c in kept)
        x = graph.reduce(x, lonely, shape, "sum")
    order = [kept.index(c) for c in out]
    return Activation(op.shape, tuple(a.with_labels(a.labels.permute(order)) for a in x.axes), x.via)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """torch.einsum."""
    register("aten.einsum", lower_einsum)
