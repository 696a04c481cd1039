"""How a parameter view runs through its tensor: which of the tensor's dimensions hold which neurons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsgraph.events.blocks import ParamView

__all__ = ["Factored", "factor", "ravel"]


@dataclass(frozen=True, eq=False)
class Factored:
    """A view whose element numbers are a sum of one term a role, each role having dimensions of its own.

    Attributes:
        shape: the tensor's shape.
        base: coordinates of the view's first element, ``[rank]``.
        steps: for each role (``dst``, ``src``, ``m``) coordinates relative to ``base``, ``[n, rank]``.
    """

    shape: tuple[int, ...]
    base: Tensor
    steps: Mapping[str, Tensor]

    def dims(self, role: str) -> tuple[int, ...]:
        """The tensor's dimensions along which a role varies."""
        return tuple((self.steps[role] != 0).any(0).nonzero().flatten().tolist())

    def occupied(self, dim: int) -> Tensor:
        """Which coordinates of a dimension the view reads, ``[shape[dim]]`` (bool)."""
        at = self.base[dim].reshape(1)
        for steps in self.steps.values():
            at = torch.unique(at.unsqueeze(1) + torch.unique(steps[:, dim]).unsqueeze(0))
        mask = torch.zeros(self.shape[dim], dtype=torch.bool)
        mask[at] = True
        return mask

    def coordinates(self, role: str, dims: tuple[int, ...]) -> Tensor:
        """Where a role's neurons lie in some dimensions, ``[n, vertices]``, as numbers over these dimensions.

        A neuron takes several coordinates where parallel edges share its dimension (a Flatten before a
        linear layer).
        """
        picked = list(dims)
        along = torch.unique(self.steps["m"][:, picked], dim=0)
        at = self.base[picked] + self.steps[role][:, None, picked] + along[None]
        return ravel(at, [self.shape[d] for d in dims])


def factor(
    view: ParamView,
    shape: tuple[int, ...],
    roles: Mapping[str, tuple[int, ...]],
    indices: Mapping[str, Tensor],
) -> Factored | None:
    """Factor a view; None where its roles share a dimension of the tensor, or no such sum exists.

    Args:
        view: the view.
        shape: its tensor's shape.
        roles: the view's dimensions of each role.
        indices: the structure's index tensors.
    """
    if not view.numel:
        return None
    found = _offsets(view, indices)
    if found is None:
        return None
    base, offsets = found
    first = _unravel(torch.tensor([base]), shape)[0]
    steps = {}
    for role in ("dst", "src", "m"):
        flat = torch.zeros(1, dtype=torch.int64)
        for dim in roles.get(role, ()):
            flat = (flat.unsqueeze(1) + offsets[dim]).reshape(-1)
        steps[role] = _unravel(base + flat, shape) - first
    factored = Factored(shape, first, steps)
    high = first + sum((s.max(0).values for s in steps.values()), torch.zeros_like(first))
    low = first + sum((s.min(0).values for s in steps.values()), torch.zeros_like(first))
    if bool((low < 0).any()) or bool((high >= torch.tensor(shape or (1,))).any()):
        return None
    if set(factored.dims("dst")) & set(factored.dims("src")):
        return None
    return factored


def _offsets(view: ParamView, indices: Mapping[str, Tensor]) -> tuple[int, list[Tensor]] | None:
    """First element, and the steps along each dimension of the view."""
    if view.strides is not None:
        pairs = zip(view.shape, view.strides, strict=True)
        return view.offset, [torch.arange(n) * s for n, s in pairs]
    index = view.elements(indices)
    if int(index.min()) < 0:
        return None
    base = int(index.reshape(-1)[0])
    steps, total = [], torch.full((), base)
    for dim in range(index.dim()):
        at: list[int | slice] = [0] * index.dim()
        at[dim] = slice(None)
        steps.append(index[tuple(at)] - base)
        total = total.unsqueeze(-1) + steps[-1]
    return (base, steps) if torch.equal(total, index) else None


def _unravel(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``[n]`` element numbers to ``[n, rank]`` coordinates."""
    out = []
    for size in reversed(shape or (1,)):
        out.append(flat % size)
        flat = flat // size
    return torch.stack(out[::-1], -1)


def ravel(coordinates: Tensor, sizes: Sequence[int]) -> Tensor:
    """Coordinates ``[..., rank]`` as single numbers below the product of ``sizes``."""
    strides = torch.tensor([math.prod(sizes[d + 1 :]) for d in range(len(sizes))])
    return (coordinates * strides).sum(-1)
