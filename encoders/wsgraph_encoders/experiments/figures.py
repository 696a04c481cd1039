"""Figures as PNG files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from wsgraph.errors import MissingDependencyError
from wsgraph_encoders.experiments.results import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["new_figure", "write_figure"]


def new_figure(width: float = 5, height: float = 3.5) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; sizes in inches. Needs no display.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure as NewFigure
    except ImportError as error:
        raise MissingDependencyError(
            "figures need matplotlib, which is not installed", remedy="pip install 'wsgraph[experiments]'"
        ) from error
    figure = NewFigure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all.

    Raises:
        EncoderError: the file cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_whole(path, buffer.getvalue())
