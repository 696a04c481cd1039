"""What operators consist of where torch has them in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["OWN_DECOMPOSITIONS"]


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: int | None = None) -> Tensor:
    """Distances of all pairs of rows: radial basis functions, codebooks."""
    del compute_mode
    distance: Tensor = torch.linalg.vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)
    return distance


def _addbmm(x: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    product = torch.bmm(batch1, batch2).sum(0)
    return beta * x + alpha * product


def _solve(a: Tensor, b: Tensor, *, left: bool = True) -> Tensor:
    """A system solved by a matrix, which is most often a parameter, is a layer with the inverse matrix."""
    inverse: Tensor = torch.linalg.inv(a)
    if b.ndim == a.ndim - 1 or b.ndim == 1:
        return (inverse @ b.unsqueeze(-1)).squeeze(-1) if left else (b.unsqueeze(-2) @ inverse).squeeze(-2)
    return inverse @ b if left else b @ inverse


OWN_DECOMPOSITIONS: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.cdist.default: _cdist,
    torch.ops.aten.addbmm.default: _addbmm,
    torch.ops.aten.linalg_solve.default: _solve,
}
"""An operator with the same result, made of others."""
