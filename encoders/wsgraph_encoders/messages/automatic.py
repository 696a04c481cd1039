"""The fast message function of whatever device the encoder is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph_encoders.messages.spectral import SpectralMessage
from wsgraph_encoders.triton.available import fused_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from wsgraph_encoders.fourier import ScalarMap
    from wsgraph_encoders.messages.interface import Message
    from wsgraph_encoders.messages.wiring import Wiring
    from wsgraph_encoders.triton.message import TritonMessage

__all__ = ["AutomaticMessage"]


class AutomaticMessage:
    """Triton's kernels for float32 on CUDA where Triton is installed, else plain torch; the same sums."""

    def __init__(self) -> None:
        self._plain: Message = SpectralMessage()
        self._fused: TritonMessage | None = None

    def single(self, wiring: Wiring, weights: Tensor, sources: Tensor, edge: ScalarMap) -> Tensor:
        """Eq. 4; see :meth:`Message.single`."""
        return self._on(sources).single(wiring, weights, sources, edge)

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
        return self._on(heads).multi(wiring, weights, heads, offset, edge, first)

    def constant(self, wiring: Wiring, value: Tensor, sources: Tensor, node: nn.Linear) -> Tensor:
        """Eq. 4 with a learned feature; see :meth:`Message.constant`."""
        return self._plain.constant(wiring, value, sources, node)

    def evaluate(
        self, values: Sequence[Tensor], maps: Sequence[ScalarMap], after: nn.Linear | None = None
    ) -> list[Tensor]:
        """See :meth:`Message.evaluate`."""
        return self._on(maps[0].weight).evaluate(values, maps, after) if maps else []

    def fused(self, like: Tensor) -> TritonMessage | None:
        """The kernels, where they take over for tensors of this device and dtype."""
        if not fused_on(like):
            return None
        if self._fused is None:
            from wsgraph_encoders.triton.message import TritonMessage

            self._fused = TritonMessage()
        return self._fused

    def _on(self, like: Tensor) -> Message:
        return self.fused(like) or self._plain
