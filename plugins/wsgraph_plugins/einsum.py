"""Einstein summation: a layer, attention, or an element-wise product, by its letters."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.named import contract_named, mix_named
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_einsum(op: Operation, graph: LoweringGraph) -> Activation:
    """``aten.einsum`` of one or two operands."""
    operands = op.argument("tensors")
    names, out = parse_equation(op.argument("equation"), [len(v.shape) for v in operands])
    if len(operands) > 2 or any(len(set(n)) != len(n) for n in names):
        raise UnsupportedOperatorError(
            f"{op!r}: einsum {op.argument('equation')!r} has {len(operands)} operands, or repeats a letter",
            remedy="write it as products of two operands",
        )
    if len(operands) == 1:
        return _single(op, graph, operands[0], names[0], out)
    left, right = (op.state(v) for v in operands)
    if isinstance(right, ParamValue) and isinstance(left, Activation):
        return contract_named(graph, left, names[0], right, names[1], out)
    if isinstance(left, ParamValue) and isinstance(right, Activation):
        return contract_named(graph, right, names[1], left, names[0], out)
    a, b = (op.as_activation(v) for v in operands)
    return mix_named(graph, a, names[0], b, names[1], out)


def _single(op: Operation, graph: LoweringGraph, value: Any, names: str, out: str) -> Activation:
    x = op.as_activation(value)
    lonely = [d for d, c in enumerate(names) if c not in out]
    kept = "".join(c for c in names if c in out)
    if lonely:
        shape = tuple(x.shape[names.index(c)] for c in kept)
        x = graph.reduce(x, lonely, shape, "sum")
    order = [kept.index(c) for c in out]
    return Activation(op.shape, tuple(a.with_labels(a.labels.permute(order)) for a in x.axes), x.via)


def parse_equation(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Letters of each operand and of the result; an ellipsis becomes letters of its own.

    Args:
        equation: as torch.einsum takes it; without an arrow the result has the letters seen once, sorted.
        ranks: number of dimensions of each operand.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    operands = left.split(",")
    spare = [c for c in string.ascii_letters if c not in equation]
    widths = [r - len(o.replace("...", "")) for o, r in zip(operands, ranks, strict=True)]
    dots = "".join(spare[: max(widths, default=0)])
    names = [
        o.replace("...", dots[len(dots) - w :]) if "..." in o else o
        for o, w in zip(operands, widths, strict=True)
    ]
    if not arrow:
        once = sorted(c for c in set("".join(names)) if "".join(names).count(c) == 1 and c not in dots)
        return names, dots + "".join(once)
    return names, right.replace("...", dots)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """torch.einsum."""
    register("aten.einsum", lower_einsum)
