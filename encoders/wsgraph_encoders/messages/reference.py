"""The naive message function: every edge's features and message are made, then summed. The oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph_encoders.messages.wiring import DenseWiring, split_dim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from wsgraph_encoders.fourier import ScalarMap
    from wsgraph_encoders.messages.wiring import Wiring

__all__ = ["ReferenceMessage"]


class ReferenceMessage:
    """Eq. 4 and 5 as they are written; memory is O(edges · features)."""

    def single(self, wiring: Wiring, weights: Tensor, sources: Tensor, edge: ScalarMap) -> Tensor:
        """Eq. 4; see :meth:`Message.single`."""
        messages = edge(weights.squeeze(-1)) * _at_pairs(wiring, sources)
        return _sum(wiring, messages)

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
        joined = (edge(weights) * _at_pairs(wiring, heads)).flatten(-2)
        hidden = joined @ first.flatten(0, 1) + _at_pairs(wiring, offset)
        return _sum(wiring, hidden.relu())

    def constant(self, wiring: Wiring, value: Tensor, sources: Tensor, node: nn.Linear) -> Tensor:
        """Eq. 4 with a learned feature; see :meth:`Message.constant`."""
        at_pairs = _at_pairs(wiring, node(sources))
        return _sum(wiring, value * at_pairs.expand(len(sources), *wiring.shape, -1))

    def evaluate(
        self, values: Sequence[Tensor], maps: Sequence[ScalarMap], after: nn.Linear | None = None
    ) -> list[Tensor]:
        """See :meth:`Message.evaluate`."""
        results = [g(value) for value, g in zip(values, maps, strict=True)]
        return results if after is None else [after(result) for result in results]


def _at_pairs(wiring: Wiring, x: Tensor) -> Tensor:
    """Each pair's source: ``[batch, n_src, ...]`` to what broadcasts over ``[batch, *wiring.shape, ...]``."""
    if isinstance(wiring, DenseWiring):
        return split_dim(x, 1, wiring.groups, 1, wiring.n_src)
    return x.index_select(1, wiring.src.to(x.device))


def _sum(wiring: Wiring, messages: Tensor) -> Tensor:
    """Sum over sources: ``[batch, *wiring.shape, c]`` to ``[batch, n_dst, c]``."""
    if isinstance(wiring, DenseWiring):
        full = messages.expand(-1, -1, wiring.n_dst, -1, -1)
        return full.sum(3).flatten(1, 2)
    out = messages.new_zeros(len(messages), wiring.total_dst, messages.shape[-1])
    return out.index_add(1, wiring.dst.to(messages.device), messages)
