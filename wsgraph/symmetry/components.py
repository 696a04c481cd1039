"""Arithmetic on large graphs given as arrays of edges."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["components", "degrees", "densify", "scramble"]

_WIDEST = 1 << 62


def components(size: int, left: Tensor, right: Tensor, use: Tensor, fixed: Tensor) -> Tensor:
    """Connected components.

    Args:
        size: number of vertices.
        left: one end of each edge ``[k]``.
        right: the other end.
        use: edges that connect ``[k]`` (bool).
        fixed: vertices that belong to no component and connect nothing ``[size]`` (bool).

    Returns:
        ``[size]`` the smallest vertex of each vertex's component, -1 for fixed ones.
    """
    live = use & ~fixed[left] & ~fixed[right]
    a, b = left[live], right[live]
    labels = torch.arange(size)
    while True:
        low = torch.minimum(labels[a], labels[b])
        smaller = labels.clone()
        for end in (a, b):
            smaller = smaller.scatter_reduce(0, labels[end], low, "amin")
            smaller = smaller.scatter_reduce(0, end, low, "amin")
        smaller = smaller[smaller]
        if torch.equal(smaller, labels):
            break
        labels = smaller
    labels[fixed] = -1
    return labels


def degrees(edges: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """For each typed edge ``[3, k]`` how many of its type its left end has, and its right end."""
    kind, left, right = edges
    out = []
    for end in (left, right):
        _, inverse, counts = torch.unique(kind * size + end, return_inverse=True, return_counts=True)
        out.append(counts[inverse])
    return out[0], out[1]


def densify(left: Tensor, right: Tensor) -> Tensor:
    """A number for each pair of numbers, different for different pairs."""
    if not left.numel():
        return left
    low = min(int(left.min()), int(right.min()))
    width = int(right.max()) + 1
    if low >= 0 and (int(left.max()) + 1) * width < _WIDEST:
        return left * width + right
    a, b = (torch.unique(t, return_inverse=True)[1] for t in (left, right))
    dense: Tensor = a * (int(b.max()) + 1) + b
    return dense


def scramble(numbers: Tensor) -> Tensor:
    """A hash of integers (splitmix64's rounds, in wrapping arithmetic)."""
    x = numbers.to(torch.int64) * 0x1E3779B97F4A7C15
    x += 0x632BE59BD9B4E019
    shifted = torch.empty_like(x)
    for bits, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        # In place: new memory would cost more than the arithmetic.
        torch.bitwise_right_shift(x, bits, out=shifted)
        x ^= shifted
        x *= factor
    return x
