"""Classifiers over a frozen encoder (section 8.1, App. G.1.2)."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FeatureMapClassifier", "MemoryClassifier"]


class FeatureMapClassifier(nn.Module):
    """Two convolutions and a three-layer MLP over F_aug.

    Args:
        channels: views times d.
        grid: rows and columns of the feature map.
        classes: number of classes.
        hidden: width of all hidden layers.
        dropout: between the layers of the MLP, and after it begins.
        conv_dropout: between convolutions; 0.2 for CIFAR in the paper.
    """

    def __init__(
        self,
        channels: int,
        grid: tuple[int, int],
        classes: int,
        hidden: int = 256,
        dropout: float = 0.5,
        conv_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(conv_dropout),
            nn.Conv2d(hidden, hidden, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Dropout(conv_dropout),
        )
        places = -(-grid[0] // 2) * -(-grid[1] // 2)
        self.head = MemoryClassifier(hidden * places, classes, hidden, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, views·d, h_s, w_s]`` to logits ``[batch, classes]``."""
        logits: Tensor = self.head(self.convolutions(features).flatten(1))
        return logits


class MemoryClassifier(nn.Sequential):
    """A three-layer MLP over an embedding.

    Args:
        width: of the embedding.
        classes: number of classes.
        hidden: width of the hidden layers.
        dropout: between layers.
    """

    def __init__(self, width: int, classes: int, hidden: int = 256, dropout: float = 0.5) -> None:
        super().__init__(
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
