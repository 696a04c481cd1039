"""From memories to one embedding a network."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from wsgraph_encoders.config import DNGConfig

__all__ = ["History", "ReadoutHead"]


class History:
    """The mean memory of the nodes that appear at each timestamp.

    Permuting neurons does not change it: it is a mean over nodes.
    """

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}
        self._counts: dict[int, int] = defaultdict(int)

    def add(self, t: int, memory: Tensor) -> None:
        """Note the memories ``[batch, n, hidden]`` of a block that appears at ``t``."""
        total = memory.sum(1)
        self._sums[t] = self._sums[t] + total if t in self._sums else total
        self._counts[t] += memory.shape[1]

    def stacked(self, batch: int) -> Tensor:
        """``[batch, timestamps, hidden]``; learned memories alone are no inference step and are left out."""
        means = [self._sums[t] / max(self._counts[t], 1) for t in sorted(self._sums)]
        return torch.stack([mean.expand(batch, -1) for mean in means], 1)


class ReadoutHead(nn.Module):
    """The embedding, by the configuration's ``readout``.

    ``last`` with ``per_step`` parameters is the output nodes' memories one after another, as in the paper;
    with ``per_kind`` it is their mean, whose width does not depend on the number of outputs.

    Args:
        config: the configuration.
    """

    def __init__(self, config: DNGConfig) -> None:
        super().__init__()
        self.kind = config.readout
        self.flatten = config.parameters == "per_step"
        self.score = nn.Linear(config.hidden, 1) if config.readout == "attention" else None

    def history(self) -> History | None:
        """Where to note mean memories; None where only the last ones are read."""
        return None if self.kind == "last" else History()

    def forward(self, last: Tensor, history: Tensor | None) -> Tensor:
        """``[batch, d]``.

        Args:
            last: memories of the output nodes, ``[batch, n_out, hidden]``.
            history: mean memories, ``[batch, timestamps, hidden]``; None for ``last``.
        """
        if history is None:
            return last.flatten(1) if self.flatten else last.mean(1)
        if self.score is None:
            return history.mean(1)
        weights: Tensor = self.score(history).softmax(1)
        return (weights * history).sum(1)
