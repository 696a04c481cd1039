"""Which elements of an operator's inputs belong to a source neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.testing.bench import Bench, is_learned

if TYPE_CHECKING:
    from wsgraph.ir.graph import Op, Value
    from wsgraph.lowering.builder import Edges, Nodes
    from wsgraph.provenance.axes import Activation

__all__ = ["source_masks"]


def source_masks(bench: Bench, op: Op, node: int) -> dict[Value, Tensor]:
    """Masks of the elements of an operator's activation inputs that a neuron's value lies in.

    Args:
        bench: the lowered model.
        op: the operator.
        node: the neuron's global number.

    Returns:
        A mask for each input that has such elements; empty where no activation stands behind the neuron
        (a row of a table), or where the operator itself has made it from several neurons.
    """
    block = bench.block_of(node)
    found = {}
    for value, state in bench.activations(op.inputs()):
        if not value.dtype.is_floating_point:
            continue
        mask = _mask(bench, state, block, node)
        if mask is None:
            mask = _joined(bench, op, state, block, node)
        if mask is not None and bool(mask.any()):
            found[value] = mask
    return found


def _mask(bench: Bench, state: Activation, block: Nodes, node: int) -> Tensor | None:
    wanted = -1 if block.attrs.get("role") == "constant" else node
    mask = torch.zeros(state.shape, dtype=torch.bool)
    for axis in state.nodes:
        mask |= axis.labels == wanted
    if bool(mask.any()):
        return mask
    role = block.attrs.get("role")
    if role == "logits":
        for axis in state.pending:
            own = axis.ids()[node - block.base :]
            if len(own):
                mask |= axis.labels == own[0]
        return mask
    return _position_mask(bench, state, block, node) if role == "position" else None


def _position_mask(bench: Bench, state: Activation, block: Nodes, node: int) -> Tensor | None:
    """Positions that have become nodes of their own: token mixing, filters over time."""
    for key, nodes in bench.lowered.builder.position_blocks.items():
        if nodes is not block:
            continue
        sites = [*state.sites]  # a space may be met twice: an outer product of one dimension with itself
        rank = torch.zeros((), dtype=torch.int64)
        for part in key:
            axis = next((a for a in sites if id(a.space) == part), None)
            if axis is None:
                return None
            assert axis.space is not None
            sites.remove(axis)
            rank = rank * axis.space.size + axis.labels
        return rank.expand(state.shape) == node - block.base
    return None


def _joined(bench: Bench, op: Op, state: Activation, block: Nodes, node: int) -> Tensor | None:
    """A node that stands for several neurons at once lies where all of them meet."""
    parts: list[Edges] = [e for e in bench.edges_of(op) if e.dst is block and is_learned(e, "join")]
    if not parts:
        return None
    mask = torch.ones(state.shape, dtype=torch.bool)
    row = int((block.ids == node).nonzero()[0])
    for edges in parts:
        source = _source(edges, row)
        if source is None:  # joined values of which not all have such an axis
            mask &= torch.stack([(axis.labels < 0).expand(state.shape) for axis in state.nodes]).any(0)
            continue
        part = _mask(bench, state, bench.block_of(source), source)
        if part is None:
            return None
        mask &= part
    return mask


def _source(edges: Edges, row: int) -> int | None:
    """What one-to-one edges lead to a node from; None where they leave it out."""
    if edges.coo is None:
        return int(edges.src[row])
    at = (edges.coo[1] == row).nonzero().flatten()
    return int(edges.src[edges.coo[0][at]]) if len(at) else None
