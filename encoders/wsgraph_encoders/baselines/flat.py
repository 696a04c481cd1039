"""A plain MLP over all weights of one architecture: no graph, no symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.baselines.features import encode_groups
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsgraph.events.stream import EventStream
    from wsgraph.events.structure import Structure
    from wsgraph_encoders.batch import Batch, Group
    from wsgraph_encoders.dng import Encoded

__all__ = ["FlatMLP"]


class FlatMLP(nn.Module):
    """All parameters in one vector, then linear maps with ReLU between them.

    It is *not* invariant to permutations of neurons; that is what it is compared for. Inputs are shifted by
    ``shift`` and multiplied by ``scale``, buffers that :meth:`standardise` sets; 0 and 1 before.

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
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
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
        flat = torch.stack([self.vector(stream) for stream in group.streams])
        return self.layers((flat - self.shift) * self.scale), {}

    def vector(self, stream: EventStream) -> Tensor:
        """A network's parameters one after another, ``[inputs]``."""
        state = stream.state_dict()
        return torch.cat([state[name].reshape(-1).to(self.shift.dtype) for name in self.names])

    @torch.no_grad()
    def standardise(self, streams: Iterable[EventStream]) -> None:
        """Take mean and standard deviation out of every input, as they are over these networks.

        The networks are read one after the other; inputs that are alike in all of them are only shifted.
        """
        count, mean = 0, torch.zeros_like(self.shift, dtype=torch.float64)
        squares = torch.zeros_like(mean)
        for count, stream in enumerate(streams, 1):
            delta = self.vector(stream) - mean
            mean += delta / count
            squares += delta * (self.vector(stream) - mean)
        deviation = (squares / max(count, 1)).sqrt()
        self.shift.copy_(mean)
        self.scale.copy_(torch.where(deviation > 0, 1 / deviation.clamp(min=1e-12), 1.0))


def _names(structure: Structure) -> tuple[str, ...]:
    """Floating-point parameters and statistics, each storage once."""
    return tuple(
        name for name, spec in structure.tensors.items() if spec.tied_to is None and "float" in spec.dtype
    )
