"""The message function of the kernels: the interface of :mod:`wsgraph_encoders.messages` on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.messages.reference import ReferenceMessage
from wsgraph_encoders.messages.remembered import Remembered
from wsgraph_encoders.messages.spectral import SpectralMessage
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton.ladder import expand, ladder
from wsgraph_encoders.triton.launch import kernel_precision
from wsgraph_encoders.triton.level import choose_level
from wsgraph_encoders.triton.multi import multi
from wsgraph_encoders.triton.single import single

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from wsgraph_encoders.fourier import ScalarMap
    from wsgraph_encoders.messages.interface import Message
    from wsgraph_encoders.messages.wiring import Wiring
    from wsgraph_encoders.triton.ladder import Ladder

__all__ = ["TritonMessage"]

_FEW = 1 << 26
"""Elements of the features of a list of pairs that are made at once: up to a quarter of a gigabyte."""
_AS_STORED = (torch.float32, torch.bfloat16, torch.float16)


class TritonMessage:
    """Messages by kernels; nothing that it does makes the processor wait for the device.

    Args:
        precision: of the operands of products, see :data:`wsgraph_encoders.triton.launch.Precision`.

    Attributes:
        ladder: the ladder of an encoder's frequencies, kept as long as they do not change.

    Raises:
        EncoderError: there is no such precision.
    """

    def __init__(self, precision: str = "torch") -> None:
        kernel_precision(precision)
        self.precision = precision
        self.ladder: Callable[[Tensor], Ladder] = Remembered(ladder)

    def single(self, wiring: Wiring, weights: Tensor, sources: Tensor, edge: ScalarMap) -> Tensor:
        """Eq. 4; see :meth:`wsgraph_encoders.messages.interface.Message.single`."""
        batch, sources = len(weights), sources.expand(len(weights), -1, -1)
        if not isinstance(wiring, DenseWiring):
            return _for_pairs(weights, edge).single(wiring, weights, sources, edge)
        w = _as_stored(weights.squeeze(-1))
        if not w.numel():
            return sources.new_zeros(batch, wiring.total_dst, sources.shape[-1])
        u = sources.reshape(batch, wiring.groups, wiring.n_src, -1)
        scale = self.ladder(edge.frequencies)
        coefficients, fourier, (frequencies, inverse, rungs, *_) = expand(edge, scale)
        level, precision = choose_level(w, scale), self.precision
        out: Tensor = single(w, u, coefficients, fourier, frequencies, inverse, rungs, level, precision)
        return out.flatten(1, 2)

    def multi(
        self,
        wiring: Wiring,
        weights: Tensor,
        heads: Tensor,
        offset: Tensor,
        edge: ScalarMap,
        first: Tensor,
    ) -> Tensor:
        """Eq. 5; see :meth:`wsgraph_encoders.messages.interface.Message.multi`."""
        batch = len(weights)
        heads, offset = heads.expand(batch, -1, -1, -1), offset.expand(batch, -1, -1)
        if not isinstance(wiring, DenseWiring):
            return _for_pairs(weights, edge).multi(wiring, weights, heads, offset, edge, first)
        w = _as_stored(weights)
        if not w.numel():
            return offset.new_zeros(batch, wiring.total_dst, first.shape[-1])
        per_group = batch, wiring.groups, wiring.n_src
        at_sources = heads.reshape(*per_group, *first.shape[:2]), offset.reshape(*per_group, -1)
        scale = self.ladder(edge.frequencies)
        coefficients, fourier, (frequencies, inverse, rungs, *_) = expand(edge, scale)
        level, precision = choose_level(_flat(w), scale), self.precision
        functions = coefficients, fourier, frequencies, inverse, rungs, level, precision
        out: Tensor = multi(w, *at_sources, first, *functions)
        return out.flatten(1, 2)

    def constant(self, wiring: Wiring, value: Tensor, sources: Tensor, node: nn.Linear) -> Tensor:
        """See :meth:`wsgraph_encoders.messages.interface.Message.constant`: sources first."""
        return SpectralMessage().constant(wiring, value, sources, node)

    def evaluate(
        self, values: Sequence[Tensor], maps: Sequence[ScalarMap], after: nn.Linear | None = None
    ) -> list[Tensor]:
        """See :meth:`wsgraph_encoders.messages.interface.Message.evaluate`: as it is written."""
        return ReferenceMessage().evaluate(values, maps, after)


def _for_pairs(weights: Tensor, edge: ScalarMap) -> Message:
    """How lists of pairs are computed: as it is written, unless they are as many as edges of dense blocks."""
    few = weights.numel() * max(2 * len(edge.frequencies), edge.weight.shape[0]) <= _FEW
    return ReferenceMessage() if few else SpectralMessage()


def _flat(w: Tensor) -> Tensor:
    """``[b, g, r, s, m]`` as matrices, in any order: a view of weights that lie as convolutions' do."""
    with_rows = w.stride(2) == w.shape[4] * w.stride(4)  # transposed convolutions
    return w.movedim(-1, 3).flatten(2, 3) if with_rows else w.flatten(3)


def _as_stored(weights: Tensor) -> Tensor:
    """The weights, in float32 where the kernels do not read their dtype."""
    return weights if weights.dtype in _AS_STORED else weights.float()
