"""The memory update: a gated recurrent unit and a layer norm (Eq. 6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MemoryCell"]

_TILE = 1 << 18
"""Gates in a tile: what a core's cache holds."""


class MemoryCell(nn.Module):
    """The published encoder's GRU: the node's own features are its input, the message its hidden state.

    Args:
        hidden: width of memories.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.input_map = nn.Linear(hidden, 3 * hidden)
        self.hidden_map = nn.Linear(hidden, 3 * hidden)

    def forward(self, gates: Tensor, message: Tensor) -> Tensor:
        """One update, h' = (1 - z)·n + z·message.

        Args:
            gates: ``input_map`` of the nodes' features, in the order reset, update, new;
                broadcastable to ``[batch, n, 3·hidden]``.
            message: summed messages, ``[batch, n, hidden]``.

        Returns:
            ``[batch, n, hidden]``.
        """
        if torch.is_grad_enabled() or message.numel() <= _TILE // 3:
            return self._update(gates, message)
        # Without gradients nothing but the result is kept, so that a tile never leaves the cache.
        batch, n, hidden = message.shape
        gates, out = gates.expand(batch, n, -1), torch.empty_like(message)
        rows = max(1, _TILE // (3 * hidden))
        per_network, networks = min(n, rows), max(1, rows // max(n, 1))
        for b in range(0, batch, networks):
            for i in range(0, n, per_network):
                tile = slice(b, b + networks), slice(i, i + per_network)
                out[tile] = self._update(gates[tile], message[tile])
        return out

    def _update(self, gates: Tensor, message: Tensor) -> Tensor:
        hidden = message.shape[-1]
        given, new = torch.split_with_sizes(gates, [2 * hidden, hidden], -1)
        mapped, mapped_new = torch.split_with_sizes(self.hidden_map(message), [2 * hidden, hidden], -1)
        reset, update = (given + mapped).sigmoid().chunk(2, -1)
        new = torch.addcmul(new, reset, mapped_new).tanh()
        return torch.lerp(new, message, update)
