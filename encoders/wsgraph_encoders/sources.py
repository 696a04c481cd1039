"""Memories of nodes that nothing feeds: inputs, vocabularies, positions (section 4.1: learned vectors)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from wsgraph_encoders.program import Step

__all__ = ["SourcesByPlace", "SourcesByRole", "place_features"]

_ROLES = ("input", "position", "constant", "parameter")
_COSINES = 8
_WAVES = 4


class SourcesByPlace(nn.Module):
    """A learned vector a node, for one architecture.

    Args:
        sizes: nodes of each block without incoming edges, in stream order.
        hidden: width of memories.
    """

    def __init__(self, sizes: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.vectors = nn.ParameterList(nn.Parameter(torch.randn(size, hidden)) for size in sizes)

    def forward(self, step: Step, place: int) -> Tensor:
        """``[1, n, hidden]``.

        Args:
            step: the block.
            place: its number among the blocks without incoming edges.

        Raises:
            EncoderError: the stream is not of the architecture that the encoder is for.
        """
        expected = len(self.vectors[place]) if place < len(self.vectors) else None
        if expected != step.node.size:
            raise EncoderError(
                f"this encoder has per_step parameters for another architecture: source block {place} has "
                f"{step.node.size} nodes, expected {'no such block' if expected is None else expected}",
                remedy="make an encoder for it, or one with per_kind parameters for any architecture",
            )
        vectors: Tensor = self.vectors[place]
        return vectors.unsqueeze(0)


class SourcesByRole(nn.Module):
    """A learned vector a role, and a learned linear map of the node's place in its block.

    Any number of nodes has memories so, and they differ: red is not blue.

    Args:
        hidden: width of memories.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.roles = nn.Parameter(torch.randn(len(_ROLES) + 1, hidden))
        self.places = nn.Linear(_COSINES + 2 * _WAVES, hidden, bias=False)

    def forward(self, step: Step, place: int) -> Tensor:  # noqa: ARG002  the role says enough
        """``[1, n, hidden]``."""
        role = step.node.attrs.get("role")
        vector = self.roles[_ROLES.index(str(role)) if role in _ROLES else len(_ROLES)]
        located: Tensor = self.places(place_features(step.node.size, vector))
        return (vector + located).unsqueeze(0)


def place_features(size: int, like: Tensor) -> Tensor:
    """Where each of ``size`` nodes stands, from the start and in proportion: ``[size, 16]``."""
    index = torch.arange(size, dtype=like.dtype, device=like.device).unsqueeze(1)
    cosine = torch.arange(1, _COSINES + 1, dtype=like.dtype, device=like.device)
    wave = index * 10.0 ** -torch.arange(_WAVES, dtype=like.dtype, device=like.device)
    relative = torch.cos(math.pi / size * (index + 0.5) * cosine)
    return torch.cat([relative, wave.sin(), wave.cos()], 1)
