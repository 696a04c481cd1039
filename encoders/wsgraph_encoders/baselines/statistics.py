"""Layer statistics (Unterthiner et al. 2020): moments and quantiles of a network's weights, no learning."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import ParamView
from wsgraph_encoders.batch import collate
from wsgraph_encoders.program import EDGE_KINDS

if TYPE_CHECKING:
    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.batch import Group

__all__ = ["layer_statistics", "statistic_names"]

_KINDS = (*(kind for kind in EDGE_KINDS if kind != "learned"), "bias", "other")
_VALUES = ("mean", "variance", "minimum", "q25", "median", "q75", "maximum")
_POOLS = ("first", "last", "average")
_QUANTILE_LIMIT = 1 << 20
"""Elements of which quantiles are taken: evenly spaced ones of a larger tensor."""


def statistic_names() -> list[str]:
    """What each element of :func:`layer_statistics` is: ``mixing.first.mean``, ..., then the counts."""
    values = [f"{kind}.{pool}.{value}" for kind in _KINDS for pool in _POOLS for value in _VALUES]
    return values + [f"{kind}.log1p_count" for kind in _KINDS]


def layer_statistics(stream: EventStream) -> Tensor:
    """Mean, variance, minimum, quartiles and maximum of each block's weights, pooled a kind of block.

    A network of any architecture has as many: of each kind (parallel edges, mixing, pointwise, shifts, other
    node features) those of the first block, of the last one and their average; zero where there is none;
    then how many blocks of each kind there are, as log(1 + count).

    Args:
        stream: a network with weights.

    Returns:
        ``[len(statistic_names())]``, float64.

    Raises:
        CheckpointError: a weight is NaN or infinite.
    """
    (group,) = collate([stream]).groups
    found = _by_kind(group)
    pooled, counts = [], []
    for kind in _KINDS:
        rows = torch.stack(found[kind]) if found[kind] else torch.zeros(1, len(_VALUES), dtype=torch.float64)
        pooled += [rows[0], rows[-1], rows.mean(0)]
        counts.append(float(len(found[kind])))
    return torch.cat([*pooled, torch.tensor(counts, dtype=torch.float64).log1p()])


def _by_kind(group: Group) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = defaultdict(list)
    for step in group.program.steps:
        for link in step.links:
            feature = link.edge.feature
            if isinstance(feature, ParamView):
                found[link.kind].append(_describe(group.values(feature)))
        for name, view in sorted(step.node.features.items()):
            found["bias" if name == "bias" else "other"].append(_describe(group.values(view)))
    return found


def _describe(weights: Tensor) -> Tensor:
    """``[len(_VALUES)]`` of a tensor of any shape."""
    flat = weights.detach().reshape(-1).to(torch.float64).cpu()
    if not flat.numel():
        return torch.zeros(len(_VALUES), dtype=torch.float64)
    some = flat[:: -(-len(flat) // _QUANTILE_LIMIT)]
    quartiles = some.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    moments = [flat.mean(), flat.var(unbiased=False)]
    return torch.stack([*moments, flat.min(), *quartiles, flat.max()])
