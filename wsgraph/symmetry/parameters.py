"""Coordinates of the parameters, and which neuron reads which: tied weights tie neurons through them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from wsgraph.symmetry.incidence import Incidence, Strip
    from wsgraph.symmetry.uses import Use

__all__ = ["Coordinates", "add_parameters"]

_MANY_USES = 64
"""A tensor with more uses is taken as a whole: comparing them pair by pair takes too long."""


class Coordinates:
    """The coordinates of one tensor's dimensions, made when first asked for.

    Args:
        graph: where the vertices go.
    """

    def __init__(self, graph: Incidence) -> None:
        self.graph = graph
        self.strips: dict[tuple[str, int, tuple[int, ...]], Strip] = {}

    def strip(
        self, name: str, tile: int, dims: tuple[int, ...], sizes: tuple[int, ...], parts: int = 1
    ) -> Strip:
        """Vertices for some dimensions of one tile of a tensor."""
        key = (name, tile, dims)
        if key not in self.strips:
            count = math.prod(sizes) * parts
            self.strips[key] = self.graph.add(
                "coordinates", count, tensor=name, dims=dims, sizes=sizes, parts=parts
            )
        return self.strips[key]


def add_parameters(
    graph: Incidence, uses: Iterable[Use], derived: AbstractSet[str] = frozenset()
) -> Coordinates:
    """Connect neurons with the coordinates that they read; pin those whose sharing cannot be described.

    Args:
        graph: the coloured graph.
        uses: all uses of tensors.
        derived: names of derived tensors and of their sources, which move along their dimensions only.

    Returns:
        The coordinates made, by tensor, tile and dimensions.
    """
    coordinates = Coordinates(graph)
    by_tensor: dict[str, list[Use]] = {}
    for use in uses:
        by_tensor.setdefault(use.view.name, []).append(use)
    for name, given in by_tensor.items():
        for tile, together in enumerate(_tiles(given)):
            _add_tile(coordinates, name, tile, together, movable=name not in derived)
    return coordinates


def _tiles(uses: list[Use]) -> list[list[Use]]:
    """Uses that read elements in common stay together."""
    if any(u.factored is None for u in uses) or len(uses) > _MANY_USES:
        return [uses]
    tiles: list[list[Use]] = []
    for use in uses:
        touching = [t for t in tiles if any(_overlap(use, other) for other in t)]
        tiles = [t for t in tiles if t not in touching]
        tiles.append([use, *(u for t in touching for u in t)])
    return tiles


def _overlap(left: Use, right: Use) -> bool:
    a, b = left.factored, right.factored
    assert a is not None
    assert b is not None
    return all(bool((a.occupied(d) & b.occupied(d)).any()) for d in range(len(a.shape)))


def _add_tile(coordinates: Coordinates, name: str, tile: int, uses: list[Use], *, movable: bool) -> None:
    alone = len(uses) == 1
    if not all(_describable(use, alone=alone) for use in uses) or _clash(uses):
        if not (alone and movable and _free(uses[0])):
            for use in uses:
                coordinates.graph.pin(use.dst)
                coordinates.graph.pin(use.src)
        return
    for use in uses:
        _link(coordinates, name, tile, use)


def _describable(use: Use, *, alone: bool) -> bool:
    if use.factored is None or use.repeats:
        return False
    return use.groups == 1 or use.shared or (alone and use.apart)


def _clash(uses: list[Use]) -> bool:
    """Whether two uses divide the tensor's dimensions among neurons in different ways."""
    sets = {f.dims(role) for u in uses if (f := u.factored) is not None for role in ("dst", "src")}
    found = [s for s in sets if s]
    return any(a != b and set(a) & set(b) for a in found for b in found)


def _free(use: Use) -> bool:
    """Whether every edge has an element of its own, so that any permutation can be carried out."""
    if use.view.strides is None or use.repeats or use.groups > 1:
        return False
    # Strides larger than all that lies below them: no element is met twice.
    reach = 0
    for stride, size in sorted(zip(use.view.strides, use.view.shape, strict=True)):
        if size > 1 and stride <= reach:
            return False
        reach += stride * (size - 1)
    return True


def _link(coordinates: Coordinates, name: str, tile: int, use: Use) -> None:
    factored = use.factored
    assert factored is not None
    for role, ids in (("dst", use.dst), ("src", use.src)):
        dims = factored.dims(role)
        if not dims or not len(ids):
            continue
        sizes = tuple(factored.shape[d] for d in dims)
        at = factored.coordinates(role, dims)
        own = use.groups if role == "src" and not use.shared else 1
        strip = coordinates.strip(name, tile if own == 1 else -1 - tile, dims, sizes, own)
        if role == "src":
            shift = torch.arange(use.groups) * (math.prod(sizes) if own > 1 else 0)
            at = (at.unsqueeze(0) + shift.view(-1, 1, 1)).reshape(-1, at.shape[1])
        for column in at.T:
            coordinates.graph.link(ids, column + strip.base)
