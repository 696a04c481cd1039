"""Reconstructed images beside the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.plots.figures import new_grid, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = ["image_grid"]

_MOST = 12


@styled
def image_grid(
    true: Tensor, reconstructed: Mapping[str, Tensor], titles: Sequence[str] | None = None
) -> Figure:
    """A row of true images, a row of reconstructions a method.

    Args:
        true: ``[n, height, width]`` or ``[n, channels, height, width]`` with one or three channels, in
            [0, 1]; the first twelve are drawn.
        reconstructed: by method, of the same shape.
        titles: a line above each column.

    Raises:
        EncoderError: there are no images, or shapes differ.
        MissingDependencyError: matplotlib is not installed.
    """
    rows = {"true": true, **reconstructed}
    for name, images in rows.items():
        if images.shape != true.shape or images.ndim not in {3, 4} or not len(images):
            raise EncoderError(
                f"images to compare are [n, (channels,) height, width] and of one shape; true ones are "
                f"{list(true.shape)}, {name} ones {list(images.shape)}"
            )
    count = min(len(true), _MOST)
    figure, grid = new_grid(len(rows), count, 0.9, 0.95)
    for axes_row, (name, images) in zip(grid, rows.items(), strict=True):
        for column, (axes, image) in enumerate(zip(axes_row, images, strict=False)):
            pixels = image.detach().float().clamp(0, 1).cpu()
            pixels = pixels.squeeze(0) if pixels.shape[0] == 1 and pixels.ndim == 3 else pixels
            shown = pixels.movedim(0, -1) if pixels.ndim == 3 else pixels
            axes.imshow(shown.tolist(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            if column == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center")
            if titles and name == "true":
                axes.set_title(titles[column], fontsize=8)
    return figure
