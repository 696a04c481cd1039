"""Learned features of learned edges: one vector a tag (App. F.1, F.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph.events.blocks import Learned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.structure import Structure

__all__ = ["TAGS", "TagVectors"]

TAGS = ("residual", "query", "key", "value", "gate", "reduce", "join", "identity", "opaque")
"""Tags with a vector of their own in ``per_kind`` parameters; all others share one."""


class TagVectors(nn.Module):
    """The vectors.

    Args:
        tags: the tags of one architecture, or None for all that the compiler knows.
        width: width 2F of a feature.
    """

    def __init__(self, tags: tuple[str, ...] | None, width: int) -> None:
        super().__init__()
        self.names = TAGS if tags is None else tags
        # Fourier features have a mean square of one half.
        self.vectors = nn.Parameter(torch.randn(len(self.names) + 1, width) * 0.5**0.5)

    def by_tag(self, structure: Structure) -> Mapping[str, Tensor]:
        """The vector ``[2F]`` of each tag in a structure."""
        used = {edge.feature.tag for edge in structure.edges if isinstance(edge.feature, Learned)}
        rows = {tag: self.names.index(tag) if tag in self.names else len(self.names) for tag in used}
        return {tag: self.vectors[row] for tag, row in rows.items()}
