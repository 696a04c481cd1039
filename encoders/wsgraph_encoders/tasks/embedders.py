"""Embeddings where a model has no method for them of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.baselines import layer_statistics

if TYPE_CHECKING:
    from wsgraph_encoders.batch import Batch

__all__ = ["MemoryEmbedder", "StatisticsEmbedder"]


class MemoryEmbedder(nn.Module):
    """The last memories of an INR2JLS.

    Args:
        model: the INR2JLS.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def embed(self, batch: Batch) -> Tensor:
        """``[batch, memory]``."""
        encoder = self.model.encoder
        assert isinstance(encoder, nn.Module)
        embedding: Tensor = encoder(batch, memories=False).embedding
        return embedding


class StatisticsEmbedder(nn.Module):
    """Layer statistics; there is nothing to learn."""

    def embed(self, batch: Batch) -> Tensor:
        """``[batch, len(statistic_names())]``, float32.

        Raises:
            CheckpointError: a weight is NaN or infinite.
        """
        rows: dict[int, Tensor] = {}
        for group in batch.groups:
            for stream, position in zip(group.streams, group.positions, strict=True):
                rows[position] = layer_statistics(stream)
        return torch.stack([rows[position] for position in range(batch.size)]).float()
