"""The numbers that a program's step reads: edge weights and node features, with statistics folded in.

A normalisation that stores statistics is encoded by what it does, its effective affine map: scale
gamma/√(var + ε) and shift beta - mean·gamma/√(var + ε) (DESIGN section 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.errors import CheckpointError
from wsgraph.events.blocks import ParamView
from wsgraph_encoders.messages.wiring import PairWiring

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph_encoders.batch import Group
    from wsgraph_encoders.program import Link, Step

__all__ = ["edge_weights", "node_values"]


def edge_weights(group: Group, link: Link, step: Step, dtype: torch.dtype) -> Tensor:
    """The weights of an edge block that is not learned, ``[batch, *wiring.shape, m]``, as stored.

    Only scales of normalisations with statistics are computed, in ``dtype``.

    Raises:
        CheckpointError: an element is not finite.
    """
    shape = (len(group.streams), *link.wiring.shape, link.edge.multiplicity)
    feature = link.edge.feature
    weights = group.values(feature).reshape(shape) if isinstance(feature, ParamView) else None
    if not (step.has_statistics and isinstance(link.wiring, PairWiring)):
        assert weights is not None
        return weights
    inverse = _inverse_deviation(group, step, dtype)
    scale = inverse.index_select(1, link.wiring.dst.to(inverse.device)).unsqueeze(-1)
    return scale if weights is None else weights.to(dtype) * scale


def node_values(group: Group, step: Step, name: str, dtype: torch.dtype) -> Tensor | None:
    """A feature of a step's nodes, ``[batch, n]`` in ``dtype``; None where they have none of that name.

    Args:
        group: the streams.
        step: the node block.
        name: one of the step's ``features``; ``bias`` is the effective shift.
        dtype: the encoder's dtype.

    Raises:
        CheckpointError: an element is not finite.
    """
    view = step.node.features.get(name)
    stored = None if view is None else group.values(view).to(dtype)
    if name != "bias" or not step.has_statistics:
        return stored
    scale = _inverse_deviation(group, step, dtype).new_zeros(len(group.streams), step.node.size)
    for link in step.links:
        if isinstance(link.wiring, PairWiring) and link.multiplicity == 1:
            weights = edge_weights(group, link, step, dtype).squeeze(-1)
            scale = scale.index_add(1, link.wiring.dst.to(weights.device), weights)
    mean = step.node.features.get("running_mean")
    if mean is None:
        return stored
    shift = -group.values(mean).to(dtype) * scale
    return shift if stored is None else stored + shift


def _inverse_deviation(group: Group, step: Step, dtype: torch.dtype) -> Tensor:
    view = step.node.features["running_var"]
    eps = step.node.attrs.get("eps", 0.0)
    assert isinstance(eps, float | int)
    variance = group.values(view).to(dtype) + eps
    if not _capturing(variance) and bool((variance.detach() <= 0).any()):
        raise CheckpointError(
            f"parameter {view.name!r} has variances that are zero or negative, with ε = {eps}"
        )
    return variance.rsqrt()


def _capturing(tensor: Tensor) -> bool:
    """Whether a CUDA graph is being captured, in which nothing may be read back."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()
