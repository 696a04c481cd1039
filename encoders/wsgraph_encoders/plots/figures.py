"""Figures in one style, written as PNG or SVG files."""

from __future__ import annotations

import io
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ParamSpec

from wsgraph.errors import MissingDependencyError
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.experiments.results import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

__all__ = ["STYLE", "new_figure", "new_grid", "styled", "write_figure"]

P = ParamSpec("P")

STYLE: dict[RcKeyType, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: it can be searched and edited
    "svg.hashsalt": "wsgraph",  # the same figure gives the same bytes
}
"""matplotlib's settings for every figure."""

_FORMATS = ("png", "svg")


def new_figure(width: float = 5, height: float = 3.5) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; sizes in inches. Needs no display.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure, grid = new_grid(1, 1, width, height)
    return figure, grid[0][0]


def new_grid(
    rows: int, columns: int, width: float = 3.2, height: float = 3.0, *, shared: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows and columns of axes; sizes of one pair of axes in inches.

    Args:
        rows: of axes.
        columns: of axes.
        width: of one pair.
        height: of one pair.
        shared: all have the same limits.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    return figure, axes.tolist()


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function whose figure has the style of all."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        _require_matplotlib()
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "figures need matplotlib, which is not installed", remedy="pip install 'wsgraph[plots]'"
        )


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG or an SVG, as the name ends, whole or not at all.

    Raises:
        EncoderError: the name ends in something else, or the file cannot be written.
    """
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".").lower()
    if kind not in _FORMATS:
        raise EncoderError(f"a figure is a .png or a .svg file, got {path.name!r}")
    buffer = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    write_whole(path, buffer.getvalue())
