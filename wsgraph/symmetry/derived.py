"""Derived tensors: which dimensions of a weight-normed weight's sources move with its rows and columns.

Recipes are arbitrary computations, so the answer is found by running them: a dimension of the derived
tensor moves with dimensions of its sources if permuting these permutes the result, exactly, on random
numbers. Whatever cannot be found so is pinned.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch

from wsgraph.events.derived import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from wsgraph.events.blocks import Derived
    from wsgraph.events.structure import Structure
    from wsgraph.symmetry.incidence import Strip
    from wsgraph.symmetry.parameters import Coordinates

__all__ = ["add_derived"]

_LARGEST = 1 << 22
"""Elements of a derived tensor's largest source that is still tried."""
_TOLERANCE = 1e-9

_Placement = tuple[tuple[str, int], ...]
"""Source dimensions that move together: (tensor, dimension)."""


def add_derived(structure: Structure, coordinates: Coordinates, direct: Iterable[str]) -> None:
    """Tie the coordinates of derived tensors to those of their sources, or pin both.

    Args:
        structure: the structure.
        coordinates: those made so far.
        direct: names of the tensors that blocks read, once a view.
    """
    readers = _readers(structure, direct)
    strips = list(coordinates.strips.items())
    for derived in structure.derived.values():
        own = [(key, strip) for key, strip in strips if strip.tensor == derived.name]
        stored = [name for name in derived.sources if name in readers]
        alone = all(readers[name] == 1 for name in stored) and len({key[1] for key, _ in own}) == 1
        for _, strip in own:
            simple = alone and strip.parts == 1 and len(strip.dims) == 1
            placement = _placement(structure, derived, strip.dims[0]) if simple else None
            if placement is None:
                coordinates.graph.pin(torch.arange(strip.size) + strip.base)
            else:
                _tie(coordinates, strip, placement)
        if not alone:
            # What else reads the sources must not move them under the derived tensor.
            sources = {structure.storage_name(name) for name in stored}
            for _, strip in strips:
                if strip.tensor in sources:
                    coordinates.graph.pin(torch.arange(strip.size) + strip.base)


def _readers(structure: Structure, direct: Iterable[str]) -> dict[str, int]:
    """How often each tensor is read, directly or by a recipe; one more for a name tied to another."""
    counts = {name: int(spec.tied_to is not None) for name, spec in structure.tensors.items()}
    names = [name for name in direct if name in counts]
    names += [name for derived in structure.derived.values() for name in derived.sources if name in counts]
    for name in names:
        counts[name] += 1
    return {name: max(count, counts[structure.storage_name(name)]) for name, count in counts.items()}


def _tie(coordinates: Coordinates, strip: Strip, placement: _Placement) -> None:
    at = torch.arange(strip.size)
    for name, dim in placement:
        source = coordinates.strip(name, 0, (dim,), strip.sizes)
        coordinates.graph.link(at + strip.base, at + source.base)


def _placement(structure: Structure, derived: Derived, dim: int) -> _Placement | None:
    constants = {name: structure.indices[name] for name in derived.sources if name in structure.indices}
    shapes = {name: structure.tensors[name].shape for name in derived.sources if name not in constants}
    if any(math.prod(s) > _LARGEST for s in shapes.values()) or derived.shape[dim] == 1:
        return None
    generator = torch.Generator().manual_seed(0)
    weights = {n: torch.rand(s, generator=generator, dtype=torch.float64) + 0.5 for n, s in shapes.items()}
    order = torch.randperm(derived.shape[dim], generator=generator)
    wanted = evaluate(derived, {**weights, **constants}).index_select(dim, order)
    for placement in _candidates(shapes, derived.shape[dim]):
        moved = {**weights, **constants}
        for name, at in placement:
            moved[name] = moved[name].index_select(at, order)
        if _close(evaluate(derived, moved), wanted):
            return placement
    return None


def _candidates(shapes: dict[str, tuple[int, ...]], size: int) -> Iterator[_Placement]:
    """At most one dimension of each source, those with more sources first."""
    choices = [
        [None, *((name, d) for d, n in enumerate(shape) if n == size)] for name, shape in shapes.items()
    ]
    found = [tuple(c for c in combination if c is not None) for combination in itertools.product(*choices)]
    yield from sorted((c for c in found if c), key=len)


def _close(left: Tensor, right: Tensor) -> bool:
    scale = float(right.abs().max()) if right.numel() else 0.0
    return bool(((left - right).abs() <= _TOLERANCE * max(scale, 1e-30)).all())
