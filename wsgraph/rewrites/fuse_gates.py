"""Activations that are a product of their input and a gate on it: SiLU and Hardswish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.rewrites.matching import Matcher, number, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph, Op

__all__ = ["fuse_gates"]

_GATED = {
    "aten.sigmoid": (torch.ops.aten.silu.default, "aten.silu"),
    "aten.hardsigmoid": (torch.ops.aten.hardswish.default, "aten.hardswish"),
}


def fuse_gates(graph: Graph) -> Graph:
    """``relu6(x + 3) / 6`` to ``hardsigmoid(x)``; ``x * sigmoid(x)`` to ``silu(x)``, and so on."""
    return replace_each(replace_each(graph, _hard_sigmoid), _gated)


def _hard_sigmoid(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.div" or number(op.args[1]) != 6.0:
        return None
    clipped = matcher.made_by(op.args[0], "aten.hardtanh", "aten.clamp")
    if clipped is None or tuple(clipped.args[1:]) != (0.0, 6.0):
        return None
    shifted = matcher.made_by(clipped.args[0], "aten.add")
    if shifted is None or number(shifted.args[1]) != 3.0:
        return None
    return torch.ops.aten.hardsigmoid.default, "aten.hardsigmoid", (shifted.args[0],)


def _gated(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    if op.key != "aten.mul":
        return None
    for x, gate in (op.args, op.args[::-1]):
        activation = matcher.made_by(gate, *_GATED)
        if activation is not None and activation.args[0] is x:
            return (*_GATED[activation.key], (x,))
    return None
