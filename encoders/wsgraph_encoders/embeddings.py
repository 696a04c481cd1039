"""Vectors added to nodes' features: activations and timestamps (sections 9.5, 9.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from wsgraph_encoders.sources import place_features

if TYPE_CHECKING:
    from wsgraph_encoders.config import DNGConfig
    from wsgraph_encoders.program import Program, Step

__all__ = ["NodeEmbeddings"]

_PLACE_WIDTH = 16


class NodeEmbeddings(nn.Module):
    """What the options add to the features of a block's nodes.

    Args:
        config: which options; both may be off.
    """

    def __init__(self, config: DNGConfig) -> None:
        super().__init__()
        features = 2 * config.frequencies
        self.activation_of = config.activation_of
        self.names = config.activations
        self.activation = (
            nn.Embedding(len(config.activations) + 1, features) if config.activation_embeddings else None
        )
        self.position = nn.Linear(_PLACE_WIDTH, features) if config.position_embeddings else None

    def forward(self, step: Step, program: Program) -> Tensor | None:
        """``[2F]``, or None where nothing is added."""
        parts = []
        if self.activation is not None:
            names = self._activations(step, program)
            rows = [self.names.index(n) if n in self.names else len(self.names) for n in names]
            parts += [self.activation.weight[row] for row in rows]
        if self.position is not None:
            place = place_features(step.node.t + 1, self.position.weight)[-1]
            parts.append(self.position(place))
        return sum(parts[1:], parts[0]) if parts else None

    def _activations(self, step: Step, program: Program) -> tuple[str, ...]:
        if self.activation_of == "network":
            return (program.activation,) if program.activation else ()
        names = step.node.attrs.get("activation", ())
        return tuple(str(name) for name in names) if isinstance(names, tuple) else (str(names),)
