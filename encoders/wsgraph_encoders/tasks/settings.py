"""How a predictor is trained: everything, besides method and seed, that a result depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wsgraph_encoders.errors import EncoderError

__all__ = ["TrainSettings"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Sizes and budget; the defaults are for a few hundred small networks and a few minutes on two cores.

    Attributes:
        epochs: most passes over the training models.
        batch: models a step, on average.
        chunk: most models of one architecture that are read together; a step mixes several architectures.
        learning_rate: the highest one: it rises over the first twentieth of all steps, then falls along a
            cosine.
        weight_decay: of AdamW.
        patience: epochs without a better validation score after which training stops.
        dropout: of the head.
        hidden: width of memories or node features, and of the embedding.
        edge_width: width of an edge's features or message.
        frequencies: Fourier frequencies of a weight.
        head: width of the head's hidden layer.
        trees: most trees of the gradient-boosted baselines.
        max_nodes: the transformer is left out where a network has more, for it is quadratic.
        split_seed: of the split, where the zoo has none.

    Raises:
        EncoderError: a value makes no sense.
    """

    epochs: int = 20
    batch: int = 32
    chunk: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    patience: int = 8
    dropout: float = 0.1
    hidden: int = 32
    edge_width: int = 16
    frequencies: int = 16
    head: int = 128
    trees: int = 300
    max_nodes: int = 384
    split_seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "epochs", "batch", "chunk", "patience", "hidden", "edge_width", "frequencies", "head", "trees",
            "max_nodes",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise EncoderError(f"TrainSettings.{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise EncoderError("the learning rate must be positive, and the weight decay not negative")
        if not 0 <= self.dropout < 1:
            raise EncoderError(f"TrainSettings.dropout must be in [0, 1), got {self.dropout}")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON data."""
        return asdict(self)
