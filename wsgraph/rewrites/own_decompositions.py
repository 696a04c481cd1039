"""What operators consist of where torch has them in one piece."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Tensor:
    """Every patch times the filter; what a filter that the network computes itself comes down to."""
    sizes = weight.shape[2:]
    if x.ndim == weight.ndim - 1:  # without a batch
        return _convolution(x.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    stride, dilation = (_each(given, len(sizes)) for given in (stride, dilation))
    x = torch.nn.functional.pad(x, _pads(padding, sizes, dilation))
    for d, (size, step, gap) in enumerate(zip(sizes, stride, dilation, strict=True), start=2):
        reach = x.shape[d] - gap * (size - 1)
        taps = [x.narrow(d, gap * tap, reach) for tap in range(size)]
        x = torch.stack([tap[(slice(None),) * d + (slice(None, None, step),)] for tap in taps], -1)
    batch, channels, *sites = x.shape[: 2 + len(sizes)]
    patches = x.reshape(batch, groups, channels // groups, math.prod(sites), math.prod(sizes))
    filters = weight.reshape(groups, -1, math.prod(weight.shape[1:]))
    result = filters @ patches.transpose(-1, -2).flatten(2, 3)
    result = result.reshape(batch, -1, *sites)
    return result if bias is None else result + bias.view(-1, *[1] * len(sites))


def _each(given: Sequence[int], n: int) -> Sequence[int]:
    return given if len(given) == n else [given[0]] * n


def _pads(padding: Sequence[int] | str, sizes: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Zeros before and after each dimension, the last dimension first, as ``pad`` takes them."""
    if padding == "same":
        both = [gap * (size - 1) for size, gap in zip(sizes, dilation, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in both]
    else:
        amounts = (0,) if isinstance(padding, str) else padding
        pairs = [(n, n) for n in _each(amounts, len(sizes))]
    return [n for pair in reversed(pairs) for n in pair]


OWN_DECOMPOSITIONS: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.cdist.default: _cdist,
    torch.ops.aten.addbmm.default: _addbmm,
    torch.ops.aten.linalg_solve.default: _solve,
    torch.ops.aten.conv1d.default: _convolution,
    torch.ops.aten.conv1d.padding: _convolution,
    torch.ops.aten.conv2d.default: _convolution,
    torch.ops.aten.conv2d.padding: _convolution,
    torch.ops.aten.conv3d.default: _convolution,
    torch.ops.aten.conv3d.padding: _convolution,
}
"""An operator with the same result, made of others."""
