"""Figures of results: pure functions from tables to matplotlib figures, in one style.

Importing this package does not import matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.lazy_names import lazy_names

if TYPE_CHECKING:
    from wsgraph_encoders.plots.curves import training_curves
    from wsgraph_encoders.plots.embeddings import embedding_map
    from wsgraph_encoders.plots.figures import new_figure, new_grid, write_figure
    from wsgraph_encoders.plots.images import image_grid
    from wsgraph_encoders.plots.predictions import confusion, predicted_against_true
    from wsgraph_encoders.plots.run import write_evaluation_plots
    from wsgraph_encoders.plots.scores import score_intervals

__all__ = [
    "confusion",
    "embedding_map",
    "image_grid",
    "new_figure",
    "new_grid",
    "predicted_against_true",
    "score_intervals",
    "training_curves",
    "write_evaluation_plots",
    "write_figure",
]

_HOMES = {
    "confusion": "predictions",
    "embedding_map": "embeddings",
    "image_grid": "images",
    "new_figure": "figures",
    "new_grid": "figures",
    "predicted_against_true": "predictions",
    "score_intervals": "scores",
    "training_curves": "curves",
    "write_evaluation_plots": "run",
    "write_figure": "figures",
}


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
