"""How pairs of neurons are laid out as an edge pattern."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["all_to_all"]


def all_to_all(table: Tensor, n_dst: int) -> tuple[Tensor, tuple[int, ...], Tensor | None]:
    """Every neuron of a row to every destination of the row's part, each pair once.

    Args:
        table: node numbers ``[groups, n]``; repeats in a row do not count.
        n_dst: destinations, ``groups`` consecutive parts of equal size.

    Returns:
        The sources; the edges' shape, ``[n_dst, n_src, 1]`` for one group, ``[groups, n_dst / groups,
        n_src, 1]`` for groups of one width, else ``[n_edges, 1]``; and in the last case the pairs
        ``[2, n_edges]``.
    """
    groups, part = len(table), n_dst // len(table)
    if bool((table.diff(dim=1) > 0).all()):
        return table.reshape(-1), _shape(groups, part, table.shape[1]), None
    ordered = table.sort(1).values
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered.diff(dim=1) != 0
    counts = new.sum(1)
    width = int(counts[0])
    if not bool((counts == width).all()):
        return _irregular(ordered, new, part)
    if width < table.shape[1]:
        table = ordered[new].view(groups, width)
    return table.reshape(-1), _shape(groups, part, width), None


def _shape(groups: int, part: int, width: int) -> tuple[int, ...]:
    return (part, width, 1) if groups == 1 else (groups, part, width, 1)


def _irregular(ordered: Tensor, new: Tensor, part: int) -> tuple[Tensor, tuple[int, ...], Tensor]:
    """Pairs of groups of different widths."""
    unique, inverse = torch.unique(ordered[new], return_inverse=True)
    row = new.nonzero()[:, 0]
    dst = row.unsqueeze(1) * part + torch.arange(part)
    coo = torch.stack([inverse.unsqueeze(1).expand_as(dst).reshape(-1), dst.reshape(-1)])
    return unique, (coo.shape[1], 1), coo
