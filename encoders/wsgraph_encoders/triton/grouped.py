"""Many small edge blocks in one launch: a table says where each one's matrix, sources and sums are."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from wsgraph_encoders.triton.layout import Segment, Table, table_of
from wsgraph_encoders.triton.level import choose_level
from wsgraph_encoders.triton.single import single

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsgraph_encoders.messages.wiring import DenseWiring
    from wsgraph_encoders.triton.ladder import Expansion

__all__ = ["Request", "grouped_single"]


class Request(NamedTuple):
    """One edge block of a batch of networks.

    Attributes:
        wiring: who sends to whom; with at least one edge.
        weights: ``[b, groups, n_dst, n_src, 1]``.
        sources: u, ``[b or 1, groups · n_src, c]``.
    """

    wiring: DenseWiring
    weights: Tensor
    sources: Tensor

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Matrices, destinations and sources."""
        return len(self.weights) * self.wiring.groups, self.wiring.n_dst, self.wiring.n_src


def grouped_single(requests: Sequence[Request], expansion: Expansion, precision: str) -> list[Tensor]:
    """Eq. 4 for blocks that share one scalar function; small ones, for their weights are copied together.

    Args:
        requests: the blocks.
        expansion: the scalar function.
        precision: of products; see :data:`wsgraph_encoders.triton.launch.Precision`.

    Returns:
        For each block ``[b, n_dst in all groups, c]``.
    """
    sizes = tuple(request.sizes for request in requests)
    weights = torch.cat([request.weights.reshape(-1) for request in requests])
    # Networks may share sources, but not rows of them: in the gradient each matrix writes its own.
    u = torch.cat([one.sources.expand(len(one.weights), -1, -1).flatten(0, 1) for one in requests])
    table, counts = _table(sizes, weights.device), [n * n_dst for n, n_dst, _ in sizes]
    coefficients, fourier, ladder = expansion
    level = choose_level(weights, ladder, table)
    out: Tensor = single(
        weights, u, coefficients, fourier, *ladder[:3], level, precision, *table, sum(counts)
    )
    parts = zip(torch.split(out, counts), requests, strict=True)
    return [part.reshape(len(request.weights), -1, u.shape[-1]) for part, request in parts]


@lru_cache(maxsize=256)
def _table(sizes: tuple[tuple[int, int, int], ...], device: torch.device) -> Table:
    return table_of(list(_segments(sizes)), device)


def _segments(sizes: tuple[tuple[int, int, int], ...]) -> Iterator[Segment]:
    weight = source = row = 0
    for matrices, n_dst, n_src in sizes:
        for _ in range(matrices):
            yield Segment(weight, n_src, 1, n_dst, n_src, source, row)
            weight, source, row = weight + n_dst * n_src, source + n_src, row + n_dst
