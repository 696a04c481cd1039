"""What a symmetry is for its users: a group of units, and where its parameters lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Member", "Symmetry"]


@dataclass(frozen=True, eq=False)
class Member:
    """Where the units lie along one dimension of one tensor.

    Attributes:
        parameter: the tensor's name in the state dict.
        dimension: which of its dimensions.
        positions: ``[size, width]`` the positions along that dimension that belong to each unit, in an order
            in which corresponding positions correspond.
        within: (dimension, start, stop): only this part of the tensor is moved; None for all of it.
        power: for a scale, 1 where a unit's factor multiplies these elements, -1 where it divides; else 0.
    """

    parameter: str
    dimension: int
    positions: Tensor
    within: tuple[int, int, int] | None = None
    power: int = 0

    @property
    def strided(self) -> tuple[int, int, int] | None:
        """(offset, stride, step): unit u has positions offset + stride * u + step * w; None if irregular."""
        import torch

        at = self.positions
        offset = int(at[0, 0])
        stride = int(at[1, 0]) - offset if at.shape[0] > 1 else 1
        step = int(at[0, 1]) - offset if at.shape[1] > 1 else 1
        units, inner = torch.arange(at.shape[0]), torch.arange(at.shape[1])
        regular = offset + stride * units.unsqueeze(1) + step * inner
        return (offset, stride, step) if torch.equal(regular, at) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data: strides where they fit, else the positions."""
        out: dict[str, Any] = {"parameter": self.parameter, "dimension": self.dimension}
        if self.strided is None:
            out["positions"] = self.positions.tolist()
        else:
            out.update(zip(("offset", "stride", "step"), self.strided, strict=True))
            out["width"] = self.positions.shape[1]
        if self.within is not None:
            out["within"] = dict(zip(("dimension", "start", "stop"), self.within, strict=True))
        if self.power:
            out["power"] = self.power
        return out


@dataclass(frozen=True, eq=False)
class Symmetry:
    """Units of which any permutation (or scale) leaves the network's function unchanged.

    Attributes:
        size: number of units.
        kind: ``neurons`` (hidden units, channels, with all that is tied to them), ``heads`` (whole attention
            heads, with their keys and values), ``query_key`` and ``value`` (dimensions inside a head),
            ``groups`` (of a grouped convolution); for scales ``positive_scale`` and ``sign``.
        members: where the units' parameters lie.
        nodes: node block id to the positions of each unit's nodes ``[size, width]``.
        scopes: places in the module tree of the nodes that move, in the stream's order.
    """

    size: int
    kind: str
    members: tuple[Member, ...]
    nodes: dict[int, Tensor]
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Symmetry({self.size} {self.kind}, {len(self.members)} members: {self.places})"

    @property
    def places(self) -> str:
        """The first few scopes, for a line of text."""
        return ", ".join(self.scopes[:3]) + (", ..." if len(self.scopes) > 3 else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "size": self.size,
            "kind": self.kind,
            "scopes": list(self.scopes),
            "members": [m.to_dict() for m in self.members],
        }
