"""Whether a node's own parameters (bias, running statistics) belong to that node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.testing.differences import disturbs, touches
from wsgraph.testing.pairs import view_elements

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.events.blocks import ParamView
    from wsgraph.ir.graph import Op
    from wsgraph.testing.bench import Bench

__all__ = ["check_feature"]

_CHANGED = 3.0
"""Outside the range that random parameters and statistics are drawn from."""


def check_feature(bench: Bench, op: Op, view: ParamView, row: int, node: int) -> str | None:
    """Whether a node's parameter changes this node and nothing else; None if it does.

    Args:
        bench: the lowered model.
        op: the operator that reads the parameter.
        view: the feature, ``[size]``.
        row: the node's position in its block.
        node: its global number.

    Raises:
        LookupError: the operator's results do not show the node.
    """
    targets = bench.targets(op, bench.reached(op, node))
    if not any(bool(t.any()) for t in targets):
        raise LookupError(f"{op!r} gives no value of the node")
    elements = view_elements(view, (row,), bench.assembled.indices)
    if bool((elements < 0).all()):
        return None  # a structural zero, such as the keys' part of a bias that only queries and values have
    inputs = bench.inputs(op)
    before = bench.run.call(op, inputs)
    after = bench.run.call(op, {**inputs, **bench.overwritten(view.name, elements, _CHANGED)})
    if not touches(before, after, targets):
        return "the node's parameter does not change it"
    if disturbs(before, after, [~t for t in targets]):
        targets = bench.targets(op, _sharing(bench, op, view, elements))
    if disturbs(before, after, [~t for t in targets]):
        return "the node's parameter changes other neurons"
    return None


def _sharing(bench: Bench, op: Op, view: ParamView, elements: Tensor) -> set[int]:
    """Nodes that have the same parameter element among their features, and what follows from them."""
    found: set[int] = set()
    for block in bench.assembled.nodes:
        for other in block.features.values():
            if other.name == view.name:
                hits = torch.isin(view_elements(other, (), bench.assembled.indices), elements)
                for node in bench.assembled.members[block.id][hits.nonzero().flatten()].tolist():
                    found |= bench.reached(op, node)
    return found
