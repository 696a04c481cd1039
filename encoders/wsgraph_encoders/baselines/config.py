"""Sizes of the static encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsgraph_encoders.errors import EncoderError

__all__ = ["StaticConfig"]


@dataclass(frozen=True, slots=True)
class StaticConfig:
    """Sizes of :class:`StaticEncoder` and :class:`NodeTransformer`.

    Attributes:
        frequencies: number F of random Fourier frequencies; features are 2F wide.
        fourier_scale: standard deviation of the frequencies.
        hidden: width of node features, and of the embedding.
        edge_width: width of edge features.
        layers: rounds of message passing or attention; as many as the networks have steps, in the paper.
        heads: attention heads, for the transformer.
        readout: mean over the ``output`` nodes, or over ``all`` nodes.
        max_nodes: networks with more are refused by the transformer, whose attention is quadratic.

    Raises:
        EncoderError: a value makes no sense.
    """

    frequencies: int = 64
    fourier_scale: float = 3.0
    hidden: int = 64
    edge_width: int = 32
    layers: int = 3
    heads: int = 4
    readout: Literal["output", "all"] = "all"
    max_nodes: int = 2048

    def __post_init__(self) -> None:
        for name in ("frequencies", "hidden", "edge_width", "layers", "heads", "max_nodes"):
            if getattr(self, name) < 1:
                raise EncoderError(f"StaticConfig.{name} must be at least 1, got {getattr(self, name)}")
        if self.hidden % self.heads:
            raise EncoderError(f"StaticConfig.hidden is {self.hidden}, no multiple of the {self.heads} heads")
        if self.readout not in ("output", "all"):
            raise EncoderError(f"StaticConfig.readout must be output or all, got {self.readout!r}")
