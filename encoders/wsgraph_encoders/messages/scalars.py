"""Scalar functions of as many numbers as there are nodes, of several blocks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages.interval import CHEAP, choose_basis
from wsgraph_encoders.messages.wiring import split_dim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

__all__ = ["evaluate_together"]


def evaluate_together(
    values: Sequence[Tensor], maps: Sequence[ScalarMap], after: nn.Linear | None
) -> list[Tensor]:
    """See :meth:`Message.evaluate`; in one basis where it has few functions, else each block in its own.

    The blocks of a small network are small, and to make a basis' functions takes as many calls for one of
    them as for all.
    """
    sizes = [value.numel() for value in values]
    flat = torch.cat([value.reshape(-1) for value in values])
    basis = choose_basis(flat, maps[0].frequencies, split=False)
    if len(values) > 1 and basis.terms > CHEAP:
        return [evaluate_together([v], [g], after)[0] for v, g in zip(values, maps, strict=True)]
    distinct = {(id(g.weight), id(g.bias)): g for g in maps}
    joined = _joined(tuple(distinct.values()))
    coefficients = split_dim(basis.coefficients(joined), 1, len(distinct), -1)
    composed = after is not None and _saves(coefficients.shape, len(after.weight), len(flat))
    if composed:
        assert after is not None
        constant, rest = torch.split_with_sizes(coefficients @ after.weight.t(), [1, basis.terms])
        coefficients = torch.cat([constant + after.bias, rest])
    of_map = dict(zip(distinct, coefficients.unbind(1), strict=True))
    features = torch.split_with_sizes(basis.features(flat.unsqueeze(0))[0].t(), sizes)
    results = []
    for value, g, feature in zip(values, maps, features, strict=True):
        own = of_map[id(g.weight), id(g.bias)]
        constant, rest = torch.split_with_sizes(own, [1, basis.terms])
        mapped = torch.addmm(constant, feature, rest) if basis.terms else constant.expand(len(feature), -1)
        mapped = mapped if after is None or composed else after(mapped)
        results.append(mapped.reshape(*value.shape, -1))
    return results


def _joined(maps: Sequence[ScalarMap]) -> ScalarMap:
    """One function whose result is those of the maps side by side."""
    if len(maps) == 1:
        return maps[0]
    weight, bias = torch.cat([g.weight for g in maps]), torch.cat([g.bias for g in maps])
    return ScalarMap(maps[0].frequencies, weight, bias)


def _saves(coefficients: Sequence[int], out: int, rows: int) -> bool:
    """Whether a linear map of the coefficients and then of the values costs less than one of the results.

    Args:
        coefficients: terms, maps and width.
        out: the linear map's width.
        rows: number of values.
    """
    terms, maps, c = coefficients
    return terms * out * (maps * c + rows) < rows * c * (terms + out)
