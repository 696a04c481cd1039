"""What is computed inside one tile, in plain torch; see :mod:`wsgraph_encoders.messages.tiles`.

Dimensions: n batch, r destinations, s sources, m parallel edges, K terms of the basis beside one, e edge
width, c message width, p pairs of a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from wsgraph_encoders.messages.basis import Basis

__all__ = ["DenseMulti", "DenseSingle", "PairMulti", "PairSingle", "expand"]


@dataclass(frozen=True, slots=True)
class DenseSingle:
    """Eq. 4: the sum over s and k of features(w)_rks · coefficients_kc · u_sc; k = 0 is the function one."""

    basis: Basis
    by_source: bool

    def __call__(self, w: Tensor, u: Tensor, coefficients: Tensor) -> Tensor:
        """``[n, r, s]``, ``[n, s, c]``, ``[1 + K, c]`` to ``[n, r, c]``."""
        (n, r, s), terms, c = w.shape, self.basis.terms, u.shape[-1]
        w = w.to(u.dtype)
        inside = self.basis.inside(w)
        total = u.sum(1, keepdim=True) if inside is None else torch.bmm(inside.to(u.dtype), u)
        one, others = torch.split_with_sizes(coefficients, [1, terms])
        features = self.basis.features(w.reshape(n * r, s))
        if self.by_source:  # fold the coefficients into the sources: cheapest where they are the fewer
            folded = (u.unsqueeze(1) * others.unsqueeze(1)).reshape(n, terms * s, c)
            return torch.baddbmm(total * one, features.reshape(n, r, terms * s), folded)
        sums = torch.bmm(features.reshape(n, r * terms, s), u)
        return total * one + (sums.reshape(n, r, terms, c) * others).sum(2)


@dataclass(frozen=True, slots=True)
class DenseMulti:
    """Eq. 5: the sum over s of relu(offset + Σ_n first_n (g(w_n) ⊙ head_n))."""

    basis: Basis
    by_source: bool

    def __call__(
        self, w: Tensor, heads: Tensor, offset: Tensor, coefficients: Tensor, first: Tensor
    ) -> Tensor:
        """``[n, r, s, m]``, ``[n, s, m, e]``, ``[n, s, c]``, ``[1 + K, e]``, ``[m, e, c]`` to ``[n, r, c]``.

        The function one counts in what hidden units start from. Features of a source's edges are made side
        by side: few destinations or few parallel edges alone would make short rows.
        """
        (n, r, s, m), terms, c = w.shape, self.basis.terms, first.shape[-1]
        ordered = w.to(heads.dtype).transpose(1, 2)  # [n, s, r, m]
        constant = (heads * coefficients[0]).flatten(2) @ first.flatten(0, 1)
        start = (offset + constant).reshape(n * s, 1, c)
        if self.by_source:
            features = self.basis.features(ordered.transpose(2, 3).reshape(n * s, m * r))
            folded = _fold(heads, coefficients[1:], first).reshape(n * s, terms * m, c)
            hidden = torch.baddbmm(start, features.reshape(n * s, terms * m, r).transpose(1, 2), folded)
        else:
            features = self.basis.features(ordered.reshape(n * s, r * m))
            messages = torch.bmm(features.transpose(1, 2), coefficients[1:].expand(n * s, -1, -1))
            messages = messages.reshape(n * s, r, m, -1) * heads.reshape(n * s, 1, m, -1)
            hidden = messages.flatten(2) @ first.flatten(0, 1) + start
        hidden = hidden.relu().reshape(n, s, r, c)
        inside = self.basis.inside(ordered)
        if inside is not None:
            hidden = hidden * inside.all(-1, keepdim=True)
        return hidden.sum(1)


def _fold(heads: Tensor, coefficients: Tensor, first: Tensor) -> Tensor:
    """All that a source's heads do to a feature: ``[n, s, K, m, c]``."""
    n, s, m, e = heads.shape
    scaled = heads.permute(2, 0, 1, 3).reshape(m, n * s, 1, e) * coefficients
    folded = torch.bmm(scaled.flatten(1, 2), first)
    return folded.reshape(m, n, s, len(coefficients), first.shape[-1]).permute(1, 2, 3, 0, 4)


@dataclass(frozen=True, slots=True)
class PairSingle:
    """Eq. 4 for a list of pairs, before the sum."""

    basis: Basis

    def __call__(self, w: Tensor, u: Tensor, coefficients: Tensor) -> Tensor:
        """``[p]``, ``[p, c]``, ``[1 + K, c]`` to ``[p, c]``."""
        return expand(self.basis, w.to(u.dtype), coefficients) * u


@dataclass(frozen=True, slots=True)
class PairMulti:
    """Eq. 5 for a list of pairs, before the sum."""

    basis: Basis

    def __call__(
        self, w: Tensor, heads: Tensor, offset: Tensor, coefficients: Tensor, first: Tensor
    ) -> Tensor:
        """``[p, m]``, ``[p, m, e]``, ``[p, c]``, ``[1 + K, e]``, ``[m, e, c]`` to ``[p, c]``."""
        messages = expand(self.basis, w.to(heads.dtype), coefficients).reshape(heads.shape) * heads
        return torch.addmm(offset, messages.flatten(1), first.flatten(0, 1)).relu()


def expand(basis: Basis, w: Tensor, coefficients: Tensor) -> Tensor:
    """The function itself, where it holds everywhere: ``[...]``, ``[1 + K, c]`` to ``[elements, c]``."""
    if not basis.terms:
        return coefficients.expand(w.numel(), -1)
    return torch.addmm(coefficients[0], basis.features(w.reshape(1, -1))[0].t(), coefficients[1:])
