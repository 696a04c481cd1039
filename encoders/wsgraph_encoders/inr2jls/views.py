"""The views of an image that INR2JLS reconstructs (section 8.1, App. G.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VIEWS", "view_of"]

VIEWS = ("image", "rotated_90", "rotated_180", "rotated_270", "flipped_horizontally", "flipped_vertically")
"""The image, its clockwise rotations in degrees, and its mirror images."""


def view_of(images: Tensor, view: str) -> Tensor:
    """One view of images ``[..., h, w]``; a turn by 90 or 270 degrees swaps h and w.

    Raises:
        EncoderError: there is no such view.
    """
    match view:
        case "image":
            return images
        case "rotated_90":
            return images.rot90(-1, (-2, -1))
        case "rotated_180":
            return images.rot90(2, (-2, -1))
        case "rotated_270":
            return images.rot90(1, (-2, -1))
        case "flipped_horizontally":
            return images.flip(-1)
        case "flipped_vertically":
            return images.flip(-2)
    raise EncoderError(f"there is no view {view!r}, expected one of {', '.join(VIEWS)}")
