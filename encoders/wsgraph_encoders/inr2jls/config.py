"""Sizes and variants of INR2JLS (App. G.1.2; Tables 3, 4, 6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from wsgraph_encoders.config import DNGConfig
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.inr2jls.views import VIEWS

__all__ = ["INR2JLSConfig", "Variant"]

Variant: TypeAlias = Literal["views", "plain", "noise", "no_generator", "weights", "positions", "activations"]


@dataclass(frozen=True, slots=True)
class INR2JLSConfig:
    """Sizes and options.

    Attributes:
        encoder: the DNG-Encoder's configuration.
        grid: rows and columns of the feature map, h_s and w_s; the image has four times as many each way.
        channels: the image's channels.
        spatial: width of a spatial vector.
        generator_hidden: width of the latent generator's hidden layer.
        latent: width d of a latent vector.
        decoder_hidden: channels between the two transposed convolutions.
        views: views of the image that are reconstructed, each by spatial vectors of its own (App. G.3); the
            first is the image itself.
        target: ``image``, the paper's joint latent space; ``weights``, the INR-INR of Table 3, which makes a
            SIREN again whose picture is compared.
        generator: False leaves out the latent generator: an MLP makes the image from the memory (Table 3).
        noise: standard deviation of Gaussian noise added to the images that are reconstructed in training,
            the other augmentation of Table 4 (App. G.3).

    Raises:
        EncoderError: the options contradict each other.
    """

    encoder: DNGConfig = field(default_factory=lambda: DNGConfig(frequencies=128, hidden=512))
    grid: tuple[int, int] = (7, 7)
    channels: int = 1
    spatial: int = 512
    generator_hidden: int = 512
    latent: int = 128
    decoder_hidden: int = 256
    views: tuple[str, ...] = VIEWS
    target: Literal["image", "weights"] = "image"
    generator: bool = True
    noise: float = 0.0

    def __post_init__(self) -> None:
        unknown = [view for view in self.views if view not in VIEWS]
        if unknown or not self.views:
            raise EncoderError(f"INR2JLSConfig.views must be some of {', '.join(VIEWS)}, got {self.views}")
        if len(set(self.grid)) > 1 and any("90" in view or "270" in view for view in self.views):
            raise EncoderError(f"only a square image can be turned by 90 degrees, got a grid of {self.grid}")
        if len(self.views) > 1 and (self.target == "weights" or not self.generator):
            raise EncoderError(
                "several views need the latent generator's spatial vectors: use views=('image',)"
            )
        sizes = (
            *self.grid,
            self.channels,
            self.spatial,
            self.generator_hidden,
            self.latent,
            self.decoder_hidden,
        )
        if min(sizes) < 1 or self.noise < 0:
            raise EncoderError(f"sizes of INR2JLSConfig must be positive, got {self}")

    @classmethod
    def paper(cls, *, colour: bool = False) -> INR2JLSConfig:
        """Sizes of App. G.1.2, for MNIST or, with ``colour``, for CIFAR."""
        return cls(grid=(8, 8), channels=3) if colour else cls()

    @classmethod
    def small(cls) -> INR2JLSConfig:
        """Sizes that a few CPU cores train in minutes, for MNIST."""
        encoder = DNGConfig(frequencies=16, hidden=64, edge_width=16)
        return cls(encoder, spatial=64, generator_hidden=256, latent=32, decoder_hidden=32)

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of the image: two transposed convolutions of stride 2."""
        return 4 * self.grid[0], 4 * self.grid[1]

    def variant(self, name: Variant) -> INR2JLSConfig:
        """This configuration as a row of a table.

        ``views`` is INR2JLS itself, ``plain`` and ``noise`` are rows of Table 4; ``weights`` (INR-INR) and
        ``no_generator`` of Table 3; ``positions`` and ``activations`` (embeddings) of Table 6. The encoder
        alone of Table 3 needs no configuration: it is a :class:`MemoryClassifier`.

        Raises:
            EncoderError: there is no such variant.
        """
        plain: dict[str, Any] = {"views": VIEWS[:1]}
        changes: dict[str, dict[str, Any]] = {
            "views": {"views": VIEWS},
            "plain": plain,
            "noise": {**plain, "noise": 0.06},
            "no_generator": {**plain, "generator": False},
            "weights": {**plain, "target": "weights"},
            "positions": {"encoder": replace(self.encoder, position_embeddings=True)},
            "activations": {"encoder": replace(self.encoder, activation_embeddings=True)},
        }
        if name not in changes:
            raise EncoderError(
                f"there is no variant {name!r} of INR2JLS, expected one of {', '.join(changes)}"
            )
        return replace(self, **changes[name])
