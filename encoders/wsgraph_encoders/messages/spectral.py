"""Spectral messages: exact, and without any tensor of the size [edges x hidden] (DESIGN section 8).

An edge's feature is a band-limited function of one scalar, so a few sines and cosines give it to rounding
error, and the sum over sources becomes a matrix product whose left operand is made on the fly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.messages.basis import FourierBasis
from wsgraph_encoders.messages.interval import choose_basis
from wsgraph_encoders.messages.kernels import DenseMulti, DenseSingle, PairMulti, PairSingle, expand
from wsgraph_encoders.messages.scalars import evaluate_together
from wsgraph_encoders.messages.tiles import DenseTiles, PairTiles, accumulate
from wsgraph_encoders.messages.untraced import untraced
from wsgraph_encoders.messages.wiring import DenseWiring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph_encoders.fourier import ScalarMap
    from wsgraph_encoders.messages.basis import Basis
    from wsgraph_encoders.messages.wiring import PairWiring, Wiring

__all__ = ["SpectralMessage"]

_BUDGET = 1 << 20
"""Elements of a tile's largest tensor: what a core's cache holds, and what bounds the memory."""


class SpectralMessage:
    """Messages through a basis chosen for each block; weights outside its interval one by one."""

    @untraced
    def single(self, wiring: Wiring, weights: Tensor, sources: Tensor, edge: ScalarMap) -> Tensor:
        """Eq. 4; see :meth:`Message.single`."""
        batch, weights = len(weights), weights.squeeze(-1)
        sources = sources.expand(batch, -1, -1)
        if not isinstance(wiring, DenseWiring):
            basis = choose_basis(weights, edge.frequencies, split=False) if weights.numel() else None
            return _pair_single(wiring, basis, weights, sources, edge)
        n, r, s = batch * wiring.groups, wiring.n_dst, wiring.n_src
        w, u = weights.reshape(n, r, s), sources.reshape(n, s, -1)
        basis = choose_basis(w, edge.frequencies)
        out = _dense_single(basis, w, u, edge)
        outside = _outside(basis, w)
        if outside is not None:
            out = out.flatten(0, 1) + _stray_single(outside, w, u, edge)
        return out.reshape(batch, wiring.total_dst, -1)

    @untraced
    def multi(
        self,
        wiring: Wiring,
        weights: Tensor,
        heads: Tensor,
        offset: Tensor,
        edge: ScalarMap,
        first: Tensor,
    ) -> Tensor:
        """Eq. 5; see :meth:`Message.multi`."""
        batch, m = len(weights), weights.shape[-1]
        heads, offset = heads.expand(batch, -1, -1, -1), offset.expand(batch, -1, -1)
        if not isinstance(wiring, DenseWiring):
            basis = choose_basis(weights, edge.frequencies, split=False) if weights.numel() else None
            return _pair_multi(wiring, basis, weights, (heads, offset), edge, first)
        n, r, s = batch * wiring.groups, wiring.n_dst, wiring.n_src
        w = weights.reshape(n, r, s, m)
        heads, offset = heads.reshape(n, s, m, -1), offset.reshape(n, s, -1)
        basis = choose_basis(w, edge.frequencies)
        out = _dense_multi(basis, w, (heads, offset), edge, first)
        outside = _outside(basis, w)
        if outside is not None:
            out = out.flatten(0, 1) + _stray_multi(outside, w, (heads, offset), edge, first)
        return out.reshape(batch, wiring.total_dst, -1)

    def constant(self, wiring: Wiring, value: Tensor, sources: Tensor, node: nn.Linear) -> Tensor:
        """Eq. 4 with a learned feature: the sum over sources first, which is the same for a whole group."""
        summed, number = wiring.sums(sources)
        mapped = nn.functional.linear(summed, node.weight) + number * node.bias
        return wiring.spread(value * mapped)

    @untraced
    def evaluate(
        self, values: Sequence[Tensor], maps: Sequence[ScalarMap], after: nn.Linear | None = None
    ) -> list[Tensor]:
        """See :meth:`Message.evaluate`."""
        return evaluate_together(values, maps, after) if values else []


def _dense_single(basis: Basis, w: Tensor, u: Tensor, edge: ScalarMap) -> Tensor:
    (n, r, s), c = w.shape, u.shape[-1]
    by_source = s <= r
    # Folded sources are made anew for every tile of rows: of tall matrices, take fewer sources and more rows.
    ds = _fit(s, basis.terms * (c * max(1, min(4, r // 128)) if by_source else 1))
    dr = _fit(r, basis.terms * (ds if by_source else max(ds, c)))
    dn = _fit(n, basis.terms * max(dr * ds, (ds if by_source else dr) * c))
    tiles = DenseTiles((n, r, s), (dn, dr, ds), ("nrs", "ns", ""), c)
    return accumulate(tiles, DenseSingle(basis, by_source), u, w, u, basis.coefficients(edge))


def _dense_multi(
    basis: Basis, w: Tensor, at_sources: tuple[Tensor, Tensor], edge: ScalarMap, first: Tensor
) -> Tensor:
    (n, r, s, m), (_, e, c) = w.shape, first.shape
    by_source = basis.terms * c * (e + r) < r * (basis.terms * e + e * c)
    pair = max(m * basis.terms, c) if by_source else max(m * basis.terms, m * e, c)
    source = m * basis.terms * max(e, c) if by_source else m * e
    dr = _fit(r, pair)
    ds = _fit(s, max(dr * pair, source))
    dn = _fit(n, ds * max(dr * pair, source))
    tiles = DenseTiles((n, r, s), (dn, dr, ds), ("nrs", "ns", "ns", "", ""), c)
    kernel = DenseMulti(basis, by_source)
    return accumulate(tiles, kernel, at_sources[0], w, *at_sources, basis.coefficients(edge), first)


def _pair_single(
    wiring: PairWiring, basis: Basis | None, weights: Tensor, sources: Tensor, edge: ScalarMap
) -> Tensor:
    batch, n_src, c = sources.shape
    if basis is None:
        return sources.new_zeros(batch, wiring.total_dst, c)
    if wiring.aligned:  # as many edges as nodes
        return expand(basis, weights.to(sources.dtype), basis.coefficients(edge)).view_as(sources) * sources
    src, dst = _rows(wiring, batch, n_src, sources.device)
    length = _fit(len(src), max(basis.terms, c))
    tiles = PairTiles(src, dst, batch * wiring.total_dst, length, ("p", "s", ""), c)
    operands = weights.reshape(-1), sources.reshape(-1, c), basis.coefficients(edge)
    return accumulate(tiles, PairSingle(basis), sources, *operands).reshape(batch, -1, c)


def _pair_multi(
    wiring: PairWiring,
    basis: Basis | None,
    weights: Tensor,
    at_sources: tuple[Tensor, Tensor],
    edge: ScalarMap,
    first: Tensor,
) -> Tensor:
    (batch, n_src, m, e), c = at_sources[0].shape, first.shape[-1]
    if basis is None:
        return at_sources[0].new_zeros(batch, wiring.total_dst, c)
    src, dst = _rows(wiring, batch, n_src, weights.device)
    length = _fit(len(src), max(m * basis.terms, m * e, c))
    tiles = PairTiles(src, dst, batch * wiring.total_dst, length, ("p", "s", "s", "", ""), c)
    flat = weights.reshape(-1, m), *(x.flatten(0, 1) for x in at_sources)
    out = accumulate(tiles, PairMulti(basis), flat[1], *flat, basis.coefficients(edge), first)
    return out.reshape(batch, -1, c)


def _outside(basis: Basis, w: Tensor) -> Tensor | None:
    """Flat positions of the pairs ``[n, r, s]`` that the basis does not hold for; None if there are none."""
    inside = basis.inside(w)
    if inside is None:
        return None
    pairs = inside.flatten(3).all(-1) if w.dim() > 3 else inside
    found = (~pairs).flatten().nonzero().squeeze(-1)
    return found if len(found) else None


def _stray_tiles(outside: Tensor, w: Tensor, length: int, kinds: tuple[str, ...], c: int) -> PairTiles:
    n, r, s = w.shape[:3]
    dst, column = outside // s, outside % s
    return PairTiles(dst // r * s + column, dst, n * r, length, kinds, c)


def _stray_single(outside: Tensor, w: Tensor, u: Tensor, edge: ScalarMap) -> Tensor:
    """The messages of pairs outside the interval, from the Fourier features themselves: ``[n·r, c]``."""
    basis = FourierBasis(edge.frequencies)
    tiles = _stray_tiles(outside, w, _fit(len(outside), basis.terms), ("p", "s", ""), u.shape[-1])
    chosen = w.reshape(-1).index_select(0, outside)
    return accumulate(tiles, PairSingle(basis), u, chosen, u.flatten(0, 1), basis.coefficients(edge))


def _stray_multi(
    outside: Tensor, w: Tensor, at_sources: tuple[Tensor, Tensor], edge: ScalarMap, first: Tensor
) -> Tensor:
    basis, (m, e, c) = FourierBasis(edge.frequencies), first.shape
    length = _fit(len(outside), m * max(basis.terms, e))
    tiles = _stray_tiles(outside, w, length, ("p", "s", "s", "", ""), c)
    chosen = w.reshape(-1, m).index_select(0, outside)
    flat = chosen, *(x.flatten(0, 1) for x in at_sources)
    return accumulate(tiles, PairMulti(basis), flat[1], *flat, basis.coefficients(edge), first)


def _rows(wiring: PairWiring, batch: int, n_src: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of sources and destinations with the batch folded in, ``[batch · pairs]``."""
    src, dst = wiring.src.to(device), wiring.dst.to(device)
    if batch == 1:
        return src, dst
    number = torch.arange(batch, device=device).unsqueeze(1)
    return (number * n_src + src).reshape(-1), (number * wiring.total_dst + dst).reshape(-1)


def _fit(size: int, cost: int) -> int:
    """As many of ``size`` as fit into a tile at ``cost`` elements each, at least one."""
    return max(1, min(size, _BUDGET // max(cost, 1)))
