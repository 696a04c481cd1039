"""Undoing what exporters do: one operator that was written out as several becomes one again.

An exported network then gives the same graph as the network itself. Each pattern is exact: the operators
that it replaces compute the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.rewrites.fuse_activations import fuse_activations
from wsgraph.rewrites.fuse_bias import fuse_bias
from wsgraph.rewrites.fuse_gates import fuse_gates
from wsgraph.rewrites.fuse_gelu import fuse_gelu
from wsgraph.rewrites.fuse_group_norm import fuse_group_norm
from wsgraph.rewrites.fuse_layer_norm import fuse_layer_norm
from wsgraph.rewrites.fuse_linear import fuse_linear
from wsgraph.rewrites.fuse_recurrent import fuse_recurrent
from wsgraph.rewrites.fuse_roll import fuse_roll
from wsgraph.rewrites.fuse_safe_softmax import fuse_safe_softmax
from wsgraph.rewrites.fuse_slices import fuse_slices
from wsgraph.rewrites.fuse_stack import fuse_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsgraph.ir.graph import Graph

__all__ = ["undo_export"]

_PASSES: tuple[Callable[[Graph], Graph], ...] = (
    fuse_linear,
    fuse_bias,
    fuse_gelu,
    fuse_gates,
    fuse_activations,
    fuse_safe_softmax,
    fuse_layer_norm,
    fuse_group_norm,
    fuse_roll,
    fuse_recurrent,
    fuse_slices,
    fuse_stack,
)


def undo_export(graph: Graph) -> Graph:
    """Run every pattern; the graph is checked after each."""
    for step in _PASSES:
        graph = step(graph)
        graph.verify()
    return graph
