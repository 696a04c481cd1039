"""An encoder with a head: from networks to a number or to the logits of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from wsgraph_encoders.dng import DNGEncoder

if TYPE_CHECKING:
    from wsgraph_encoders.batch import Batch

__all__ = ["Predictor"]


class Predictor(nn.Module):
    """The embedding, normalised, then an MLP (sections 8.2 and F.2).

    Args:
        encoder: called with a batch, it gives an object with ``embedding`` ``[batch, width]``.
        width: of the embedding.
        outputs: width of the output.
        hidden: width of the head's hidden layer.
        dropout: in the head.
    """

    def __init__(self, encoder: nn.Module, width: int, outputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.width = width
        self.head = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, outputs),
        )

    def embed(self, batch: Batch) -> Tensor:
        """Embeddings ``[batch, width]``, in the order of the streams.

        Raises:
            CheckpointError: a weight is NaN or infinite.
            EncoderError: the encoder is for another architecture.
        """
        if isinstance(self.encoder, DNGEncoder):
            embedding: Tensor = self.encoder(batch, memories=False).embedding
        else:
            embedding = self.encoder(batch).embedding
        return embedding

    def forward(self, batch: Batch) -> Tensor:
        """``[batch, outputs]``; errors as for :meth:`embed`."""
        result: Tensor = self.head(self.embed(batch))
        return result
