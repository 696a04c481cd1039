"""The memory update: a gated recurrent unit and a layer norm (Eq. 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MemoryCell"]


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
        mapped, width = self.hidden_map(message), 2 * message.shape[-1]
        reset, update = torch.sigmoid(gates[..., :width] + mapped[..., :width]).chunk(2, -1)
        new = torch.tanh(torch.addcmul(gates[..., width:], reset, mapped[..., width:]))
        return torch.lerp(new, message, update)
