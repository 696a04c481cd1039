"""INR2JLS: DNG-Encoder, latent generator, decoder (section 6, Figure 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.dng import DNGEncoder
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.inr2jls.config import INR2JLSConfig
from wsgraph_encoders.inr2jls.decoders import FeatureMapDecoder, MemoryDecoder, SirenDecoder
from wsgraph_encoders.inr2jls.generator import LatentGenerator
from wsgraph_encoders.inr2jls.views import view_of

if TYPE_CHECKING:
    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.batch import Batch

__all__ = ["INR2JLS", "Decoded"]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What INR2JLS makes of a batch.

    Attributes:
        embedding: the last memories s(t^L), ``[batch, memory]``.
        features: F_aug, ``[batch, views·d, h_s, w_s]``; None for variants without latent generator.
        images: reconstructions, ``[batch, views, channels, h, w]``.
    """

    embedding: Tensor
    features: Tensor | None
    images: Tensor


class INR2JLS(nn.Module):
    """The model.

    Args:
        stream: an INR of the architecture that it is for; with ``per_kind`` encoder parameters others, with
            as many outputs, can be encoded too.
        config: sizes and variant.
        per_kind: encoder parameters an edge kind instead of a timestamp, the paper's default.

    Raises:
        EncoderError: the INR-INR variant is asked for, and the stream is no SIREN.
    """

    def __init__(
        self, stream: EventStream, config: INR2JLSConfig | None = None, *, per_kind: bool = False
    ) -> None:
        super().__init__()
        self.config = config = config or INR2JLSConfig()
        self.encoder = DNGEncoder(config.encoder if per_kind else config.encoder.for_stream(stream))
        outputs = (
            1 if per_kind else sum(n.size for n in stream.node_blocks if n.attrs.get("role") == "output")
        )
        memory = config.encoder.hidden * (outputs if config.encoder.readout == "last" else 1)
        shape = (config.channels, *config.image_size)
        self.generator: LatentGenerator | None = None
        if config.target == "weights":
            self.decoder: nn.Module = SirenDecoder(
                memory, config.generator_hidden, _siren_shapes(stream), shape
            )
        elif not config.generator:
            self.decoder = MemoryDecoder(memory, config.generator_hidden, shape)
        else:
            self.generator = LatentGenerator(
                memory, config.spatial, config.generator_hidden, config.latent, config.grid, len(config.views)
            )
            self.decoder = FeatureMapDecoder(config.latent, config.decoder_hidden, config.channels)
        self.memory_width = memory

    def forward(self, batch: Batch) -> Decoded:
        """Encode networks and decode their images.

        Raises:
            CheckpointError: a weight is NaN or infinite.
            EncoderError: a network is of another architecture than the encoder's parameters.
        """
        memory, maps = self._encode(batch)
        images = self.decoder(memory if maps is None else maps)
        return Decoded(memory, None if maps is None else maps.flatten(1, 2), images)

    def features(self, batch: Batch) -> Tensor:
        """What a classifier reads: F_aug, ``[batch, views·d, h_s, w_s]``; nothing is decoded.

        Variants without latent generator have memories instead, ``[batch, memory]``.
        """
        memory, maps = self._encode(batch)
        return memory if maps is None else maps.flatten(1, 2)

    def loss(self, batch: Batch, images: Tensor) -> Tensor:
        """Mean squared error over all views (Eq. 8), a scalar.

        In training, images have noise added first where the configuration says so (App. G.3).

        Args:
            batch: networks.
            images: what they hold, ``[batch, channels, h, w]``.

        Raises:
            EncoderError: the images are of another size than the decoder's.
        """
        expected = (batch.size, self.config.channels, *self.config.image_size)
        if tuple(images.shape) != expected:
            raise EncoderError(
                f"expected images {list(expected)}, got {list(images.shape)}",
                remedy="set grid (a quarter of the image's rows and columns) and channels of INR2JLSConfig",
            )
        if self.training and self.config.noise:
            images = images + self.config.noise * torch.randn_like(images)
        targets = torch.stack([view_of(images, view) for view in self.config.views], 1)
        error: Tensor = self(batch).images - targets
        return error.square().mean()

    def _encode(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        memory = self.encoder(batch, memories=False).embedding
        return memory, None if self.generator is None else self.generator(memory)


def _siren_shapes(stream: EventStream) -> dict[str, tuple[int, ...]]:
    tensors = stream.structure.tensors
    expected = {f"layers.{i}.{part}" for i in range(len(tensors) // 2) for part in ("weight", "bias")}
    if set(tensors) != expected:
        raise EncoderError(
            f"the INR-INR variant makes SIRENs, tensors layers.0.weight, layers.0.bias, ...; the stream has "
            f"{', '.join(sorted(tensors)[:4])}",
            remedy="use networks of wsgraph_encoders.inrs.Siren, or another variant",
        )
    return {name: tuple(spec.shape) for name, spec in tensors.items()}
