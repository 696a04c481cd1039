"""A plain MLP over all weights of one architecture: no graph, no symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.baselines.features import encode_groups
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from wsgraph.events.stream import EventStream
    from wsgraph.events.structure import Structure
    from wsgraph_encoders.batch import Batch, Group
    from wsgraph_encoders.dng import Encoded

__all__ = ["FlatMLP"]


class FlatMLP(nn.Module):
    """All parameters in one vector, then linear maps with ReLU between them.

    It is *not* invariant to permutations of neurons; that is what it is compared for.

    Args:
        stream: a network of the architecture that it is for.
        hidden: width of the two hidden layers, and of the embedding.
        dropout: probability of dropping hidden units in training.

    Raises:
        EncoderError: the architecture has no floating-point parameters.
    """

    def __init__(self, stream: EventStream, hidden: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        self.fingerprint = stream.fingerprint
        self.names = _names(stream.structure)
        if not self.names:
            raise EncoderError("a flat MLP needs floating-point parameters, the architecture has none")
        tensors = stream.structure.tensors
        inputs = sum(torch.Size(tensors[name].shape).numel() for name in self.names)
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
        )

    def forward(self, batch: Batch) -> Encoded:
        """Encode a batch of networks of the one architecture; there are no ``memories``.

        Raises:
            EncoderError: a network is of another architecture.
        """
        return encode_groups(batch, self._encode)

    def _encode(self, group: Group) -> tuple[Tensor, dict[int, Tensor]]:
        if group.structure.fingerprint != self.fingerprint:
            raise EncoderError(
                f"this MLP reads networks of fingerprint {self.fingerprint[:12]}, got one of "
                f"{group.structure.fingerprint[:12]}",
                remedy="make one FlatMLP an architecture, or use an encoder over the graph",
            )
        dtype = next(self.parameters()).dtype
        states = [stream.state_dict() for stream in group.streams]
        flat = torch.stack(
            [torch.cat([s[name].reshape(-1).to(dtype) for name in self.names]) for s in states]
        )
        return self.layers(flat), {}


def _names(structure: Structure) -> tuple[str, ...]:
    """Floating-point parameters and statistics, each storage once."""
    return tuple(
        name for name, spec in structure.tensors.items() if spec.tied_to is None and "float" in spec.dtype
    )
