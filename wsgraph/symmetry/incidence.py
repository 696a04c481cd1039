"""The coloured graph whose automorphisms are the symmetries.

Its vertices are the neurons, the *hubs* (one a group of a grouped edge block, one a group of neurons that
are normalised together) and the *coordinates* of the parameters (the rows and columns of a weight). Its
typed edges say which neuron feeds which one to one, which hub a neuron belongs to, and which coordinate it
reads. Weights have no edges of their own: a permutation of the vertices that keeps colours and typed edges
maps every weight onto another one, and the function stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Incidence", "Link", "Strip"]


@dataclass(frozen=True, slots=True)
class Strip:
    """Consecutive vertices of one kind.

    Attributes:
        kind: ``nodes``, ``hub`` or ``coordinates``.
        base: first vertex.
        size: number of vertices.
        tensor: for coordinates, the tensor's name.
        dims: for coordinates, the tensor's dimensions.
        sizes: for coordinates, the sizes of these dimensions.
        parts: for coordinates of a grouped weight, how many slices of dimension 0 have their own.
    """

    kind: str
    base: int
    size: int
    tensor: str = ""
    dims: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    parts: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Link:
    """Edges of one type.

    Attributes:
        left: one end of each ``[k]``.
        right: the other end.
        hub: whether the right ends are hubs.
        shares: whether one that meets several is shared by them, as a key is by the queries of its group.
    """

    left: Tensor
    right: Tensor
    hub: bool
    shares: bool = False


@dataclass(eq=False)
class Incidence:
    """The coloured graph, growing while a structure is read.

    Attributes:
        strips: vertices by kind, in order.
        node_base: first vertex of each node block, by its id.
        links: edges by type, in order.
    """

    strips: list[Strip] = field(default_factory=list)
    node_base: dict[int, int] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    _size: int = 0
    _colors: list[Tensor] = field(default_factory=list)
    _pinned: list[Tensor] = field(default_factory=list)

    def add(self, strip_kind: str, size: int, classes: Tensor | None = None, **about: object) -> Strip:
        """New vertices of one colour, or of one a class ``[size]``."""
        strip = Strip(strip_kind, self._size, size, **about)  # type: ignore[arg-type]  # passed through by name
        kind = torch.full((size,), len(self.strips) << 32)
        self._colors.append(kind if classes is None else kind + classes.long())
        self.strips.append(strip)
        self._size += size
        return strip

    def link(self, left: Tensor, right: Tensor, *, hub: bool = False, shares: bool = False) -> None:
        """Edges of a new type from each of ``left`` to its partner in ``right``, ``[k]`` each."""
        self.links.append(Link(left, right, hub, shares))

    def pin(self, vertices: Tensor) -> None:
        """These vertices stay where they are."""
        self._pinned.append(vertices.reshape(-1))

    @property
    def size(self) -> int:
        """Number of vertices."""
        return self._size

    def mask(self, strip_kind: str) -> Tensor:
        """Which vertices are of one kind ``[size]`` (bool)."""
        mask = torch.zeros(self._size, dtype=torch.bool)
        for strip in self.strips:
            if strip.kind == strip_kind:
                mask[strip.base : strip.base + strip.size] = True
        return mask

    def pinned(self) -> Tensor:
        """Which vertices stay where they are ``[size]`` (bool)."""
        mask = torch.zeros(self._size, dtype=torch.bool)
        for vertices in self._pinned:
            mask[vertices] = True
        return mask

    def colors(self) -> Tensor:
        """Colour of each vertex ``[size]``, by its strip and class."""
        return torch.cat(self._colors) if self._colors else torch.zeros(0, dtype=torch.int64)
