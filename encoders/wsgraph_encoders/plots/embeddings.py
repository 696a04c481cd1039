"""A map of embeddings: two dimensions, coloured by a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from wsgraph.errors import MissingDependencyError
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.plots.figures import new_figure, styled
from wsgraph_encoders.plots.palette import COLOURS, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["MapMethod", "embedding_map"]

MapMethod: TypeAlias = Literal["pca", "tsne"]

_MOST_POINTS = 5000
_FEW_VALUES = 10


@styled
def embedding_map(embeddings: pl.DataFrame, colour: str, method: MapMethod = "pca", seed: int = 0) -> Figure:
    """A point a network; networks without the label are grey.

    Of more than 5,000 networks so many are drawn, at equal distances in the table.

    Args:
        embeddings: a column ``embedding`` of lists of equal lengths, and the label's column.
        colour: the label's column; numbers of more than ten values get a scale, all else a colour a value.
        method: principal components, or t-SNE.
        seed: of t-SNE.

    Raises:
        EncoderError: the column is missing, or there are fewer than three finite embeddings.
        MissingDependencyError: matplotlib or scikit-learn is not installed.
    """
    if colour not in embeddings.columns:
        raise EncoderError(
            f"the embeddings have no column {colour!r} to colour by",
            remedy=f"their columns are {', '.join(c for c in embeddings.columns if c != 'embedding')}",
        )
    finite = pl.col("embedding").arr.to_list().list.eval(pl.element().is_finite()).list.all()
    table = embeddings.filter(finite)
    if len(table) < 3:
        raise EncoderError(f"a map needs at least three finite embeddings, there are {len(table)}")
    table = table.gather_every(-(-len(table) // _MOST_POINTS))
    places, names = _project(table["embedding"].to_numpy(), method, seed)
    figure, axes = new_figure(5.5, 4.2)
    _scatter(figure, axes, places, table[colour])
    axes.set(xlabel=names[0], ylabel=names[1])
    if method == "tsne":  # distances on a t-SNE map have no unit
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def _project(vectors: NDArray[Any], method: MapMethod, seed: int) -> tuple[NDArray[Any], tuple[str, str]]:
    """Coordinates ``[n, 2]``, and the axes' names."""
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingDependencyError(
            "maps of embeddings need scikit-learn, which is not installed",
            remedy="pip install 'wsgraph[plots]'",
        ) from error
    vectors = vectors.astype("float64")
    if method == "tsne":
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="random", learning_rate="auto", random_state=seed)
        return tsne.fit_transform(vectors), ("t-SNE 1", "t-SNE 2")
    if not vectors.var(0).any():
        raise EncoderError("all embeddings are the same: there is no map to draw")
    width = min(2, vectors.shape[1])
    pca = PCA(width, svd_solver="full").fit(vectors)
    places = pca.transform(vectors)
    shares = [*pca.explained_variance_ratio_, 0.0][:2]
    if width == 1:
        places = places.repeat(2, 1) * [1, 0]
    names = [f"principal component {i + 1} ({share:.0%} of variance)" for i, share in enumerate(shares)]
    return places, (names[0], names[1])


def _scatter(figure: Figure, axes: Axes, places: NDArray[Any], labels: pl.Series) -> None:
    known = labels.is_not_null()
    if labels.dtype.is_float():
        known &= labels.is_finite().fill_null(value=False)
    rest = places[(~known).to_numpy()]
    if len(rest):
        axes.scatter(rest[:, 0], rest[:, 1], s=12, color=MISSING, linewidths=0, label="no label")
    shown, values = places[known.to_numpy()], labels.filter(known)
    if values.dtype.is_numeric() and values.n_unique() > _FEW_VALUES:
        points = axes.scatter(
            shown[:, 0], shown[:, 1], c=values.to_list(), cmap="viridis", s=16, linewidths=0
        )
        figure.colorbar(points, ax=axes, label=labels.name)
        if len(rest):
            axes.legend()
    else:
        _classes(axes, shown, values)
        figure.legend(loc="outside right upper", title=labels.name)


def _classes(axes: Axes, places: NDArray[Any], values: pl.Series) -> None:
    """A colour and a marker a value, the most frequent ones first; rare ones beyond ten are one group."""
    frequent = values.value_counts(sort=True)[values.name].to_list()
    names = sorted(frequent[:_FEW_VALUES])
    for number, name in enumerate(names):
        own = places[(values == name).to_numpy()]
        marker = "os"[number // len(COLOURS)]
        axes.scatter(
            own[:, 0],
            own[:, 1],
            s=16,
            color=COLOURS[number % len(COLOURS)],
            marker=marker,
            linewidths=0,
            label=str(name),
        )
    rare = places[(~values.is_in(names)).to_numpy()]
    if len(rare):
        axes.scatter(
            rare[:, 0],
            rare[:, 1],
            s=12,
            color="0.4",
            marker="x",
            linewidths=0.8,
            label=f"{len(frequent) - len(names)} others",
        )
