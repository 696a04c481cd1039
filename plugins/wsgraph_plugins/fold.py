"""Fold, the inverse of unfold: overlapping patches are summed up into a feature map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along

if TYPE_CHECKING:
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_fold(op: Operation, graph: LoweringGraph) -> Activation:
    """``[batch, channels * kernel, patches]`` to ``[batch, channels, height, width]``.

    Every channel sums its neurons over kernel positions and patches: the same neuron everywhere is pooled,
    different ones give a sum node.
    """
    shape = op.shape
    *batch, channels, height, width = shape
    x = op.activation("self", (-2,))
    split = (*batch, channels, x.shape[-2] // channels, x.shape[-1])
    axes = tuple(_unpadded(a.with_labels(a.labels.reshape(split))) for a in x.axes)
    rank = len(batch) + 1
    summed = graph.reduce(
        replace(x, shape=split, axes=axes, fresh=None), (rank, rank + 1), split[:rank], "fold"
    )
    kept = [a.with_labels(a.labels[..., None, None].expand(shape)) for a in summed.axes]
    kept += [Axis(arange_along(shape, rank + k), Space(n)) for k, n in enumerate((height, width)) if n > 1]
    return Activation(shape, tuple(kept), summed.via)


def _unpadded(axis: Axis) -> Axis:
    """Padding ``[..., kernel, patches]`` stands for whatever the channel has elsewhere: it is left out."""
    small = axis.small()
    if not axis.is_nodes or not bool((small < 0).any()):
        return axis
    filled = torch.where(small < 0, small.amax((-2, -1), keepdim=True), small)
    return axis.with_labels(filled.expand(axis.labels.shape))


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """torch.nn.Fold."""
    register("aten.col2im", lower_fold)
