"""Figures: what they show, read back from matplotlib's own objects and from the files."""

import json
import struct
import sys
import zlib

import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from wsgraph.errors import MissingDependencyError, WsgraphError
from wsgraph_encoders.plots import (
    confusion,
    embedding_map,
    image_grid,
    predicted_against_true,
    score_intervals,
    training_curves,
    write_evaluation_plots,
    write_figure,
)
from wsgraph_encoders.plots.palette import COLOURS, looks

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")


def predictions():
    rows = [
        ("a", 0.1, "dng", 0, 0.2),
        ("a", 0.1, "dng", 1, 0.4),
        ("b", 0.9, "dng", 0, 0.8),
        ("b", 0.9, "dng", 1, 0.8),
        ("a", 0.1, "flat", 0, 0.5),
        ("b", 0.9, "flat", 0, float("nan")),
    ]
    columns = ["id", "label", "method", "seed", "prediction"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(split=pl.lit("test"))


def points(axes):
    return axes.collections[0].get_offsets().tolist()


def test_each_point_is_a_model_and_the_mean_of_its_seeds():
    figure = predicted_against_true(predictions(), "accuracy", {"dng": "τ = 1"})
    dng, flat = figure.axes
    assert points(dng) == [[pytest.approx(0.1), pytest.approx(0.3)], [pytest.approx(0.9), pytest.approx(0.8)]]
    assert points(flat) == [[pytest.approx(0.1), pytest.approx(0.5)]]
    assert (dng.get_title(), flat.get_title()) == ("dng\nτ = 1", "flat")
    assert dng.get_xlim() == dng.get_ylim() == flat.get_xlim()
    assert figure.get_supxlabel() == "true accuracy"


def test_a_wild_prediction_does_not_squeeze_the_others():
    table = predictions().with_columns(
        prediction=pl.when(pl.col("seed") == 0).then(1e6).otherwise(pl.col("prediction"))
    )
    low, high = predicted_against_true(table).axes[0].get_xlim()
    assert -1 < low < 0.1
    assert 0.9 < high < 2


def test_confusion_rows_are_shares_of_the_true_class():
    table = pl.DataFrame({"label": ["x", "x", "x", "y"], "prediction": ["x", "y", "x", "y"], "method": "m"})
    image = confusion(table).axes[0].images[0].get_array().tolist()
    assert image == [[pytest.approx(2 / 3), pytest.approx(1 / 3)], [0, 1]]


def scores():
    return pl.DataFrame(
        {
            "method": ["flat", "dng", "broken"],
            "mean": [0.4, 0.8, None],
            "low": [0.3, 0.7, None],
            "high": [0.6, None, None],
            "seeds": [[0.35, 0.45], [0.8], []],
        }
    )


def test_the_best_method_is_on_top_with_its_interval():
    axes = score_intervals(scores(), "tau").axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["dng", "flat"]
    top, bottom = sorted(axes.get_ylim())
    assert top < 0
    assert bottom > 1
    assert axes.yaxis_inverted()
    assert "Kendall's τ" in axes.get_xlabel()
    segments = [segment.tolist() for bars in axes.collections for segment in bars.get_segments()]
    assert [[pytest.approx(0.3), 1], [pytest.approx(0.6), 1]] in segments
    assert [[pytest.approx(0.7), 0], [pytest.approx(0.8), 0]] in segments  # an end that is not known
    worst_first = score_intervals(scores(), "mse", lower_is_better=True).axes[0]
    assert [tick.get_text() for tick in worst_first.get_yticklabels()] == ["flat", "dng"]


def test_curves_end_their_mean_where_the_first_seed_ends():
    rows = [
        {"method": "dng", "seed": s, "epoch": e, "step": e, "split": "val", "metric": "tau", "value": e + s}
        for s, last in ((0, 2), (1, 4))
        for e in range(last + 1)
    ]
    axes = training_curves(pl.DataFrame(rows)).axes[0]
    lines = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines]
    assert lines[0] == ([0, 1, 2], [0, 1, 2])
    assert lines[1] == ([0, 1, 2, 3, 4], [1, 2, 3, 4, 5])
    assert lines[2] == ([0, 1, 2], [0.5, 1.5, 2.5])
    assert axes.get_ylabel() == "Kendall's τ"


def test_images_stand_below_the_true_ones():
    true = torch.rand(15, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    figure = image_grid(true, {"inr2jls": true / 2})
    assert len(figure.axes) == 24
    first = torch.tensor(figure.axes[12].images[0].get_array().tolist())
    torch.testing.assert_close(first, true[0, 0] / 2)
    assert image_grid(true.expand(-1, 3, -1, -1), {}).axes[0].images[0].get_array().shape == (4, 4, 3)
    with pytest.raises(WsgraphError, match="of one shape"):
        image_grid(true, {"other": true[:, :, :2]})


def embeddings(count=30):
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(count, 5, generator=draw) * torch.tensor([10, 3, 0.1, 0.1, 0.1])
    return pl.DataFrame(
        {
            "embedding": pl.Series(values.tolist(), dtype=pl.Array(pl.Float32, 5)),
            "score": [None, *(float(value) for value in values[1:, 0])],
            "kind": ["ab"[number % 2] for number in range(count)],
            "many": [str(number) for number in range(count)],
        }
    ), values


def test_the_map_of_principal_components_keeps_distances_in_a_plane():
    table, values = embeddings()
    flat = values.clone()
    flat[:, 2:] = 0
    table = table.with_columns(embedding=pl.Series(flat.tolist(), dtype=pl.Array(pl.Float32, 5)))
    axes = embedding_map(table, "kind").axes[0]
    drawn = {}
    for letter, scatter in zip("ab", axes.collections, strict=True):
        drawn[letter] = torch.tensor(scatter.get_offsets().tolist(), dtype=torch.float32)
    for offset, letter in enumerate("ab"):
        expected = torch.cdist(flat[offset::2], flat[offset::2])
        torch.testing.assert_close(torch.cdist(drawn[letter], drawn[letter]), expected, rtol=1e-4, atol=1e-4)
    assert axes.get_xlabel().startswith("principal component 1 (")


def test_labels_choose_colours():
    table, _ = embeddings()
    numbers = embedding_map(table, "score").axes
    assert len(numbers) == 2  # the second one is the scale
    assert [len(scatter.get_offsets()) for scatter in numbers[0].collections] == [1, 29]
    assert numbers[1].get_ylabel() == "score"
    kinds = embedding_map(table, "many")
    assert [len(s.get_offsets()) for s in kinds.axes[0].collections] == [1] * 10 + [20]
    assert len(embedding_map(table, "kind", "tsne").axes[0].collections) == 2
    with pytest.raises(WsgraphError, match="no column 'colour'"):
        embedding_map(table, "colour")
    with pytest.raises(WsgraphError, match="three finite"):
        embedding_map(table.head(2), "kind")
    with pytest.raises(WsgraphError, match="the same"):
        embedding_map(pl.concat([table.head(1)] * 4), "kind")


def test_methods_look_the_same_everywhere():
    assert looks(["flat", "dng"])["dng"] == looks(["dng", "mine"])["dng"]
    many = looks([f"m{number}" for number in range(6)] + ["dng", "static"])
    assert len({look.colour for look in many.values()}) == 8
    assert len(looks([str(number) for number in range(30)])) == 30


def test_colours_differ_for_colour_blind_eyes():
    """As seen without green or red cones (Viénot, Brettel & Mollon 1999), far apart in gamma-coded RGB."""

    def linear(colour):
        rgb = torch.tensor([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=torch.float64)
        return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)

    deuteranope = torch.tensor(
        [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]], dtype=torch.float64
    )
    protanope = torch.tensor(
        [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]], dtype=torch.float64
    )
    for sight in (deuteranope, protanope):
        seen = [(sight @ linear(colour)).clamp(0, 1) ** (1 / 2.2) for colour in COLOURS]
        distances = [float((a - b).norm()) for i, a in enumerate(seen) for b in seen[:i]]
        assert min(distances) > 0.14


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert zlib.crc32(data[12:29]) == struct.unpack(">I", data[29:33])[0]
    return width, height


def test_a_run_folder_gives_all_figures_twice_the_same(tmp_path):
    write_run(tmp_path)
    written = write_evaluation_plots(tmp_path)
    names = {
        "predicted_against_true",
        "scores_tau",
        "scores_mse",
        "training_curves",
        "reconstructions",
        "embeddings",
    }
    assert {path.stem for path in written} == names
    assert sorted(written) == sorted((tmp_path / "plots").iterdir())
    contents = [path.read_bytes() for path in written]
    assert all(min(png_size(path)) > 100 for path in written if path.suffix == ".png")
    svg = (tmp_path / "plots" / "predicted_against_true.svg").read_text()
    assert "τ = 0.800 [0.700, 0.900]" in svg
    assert "true test_accuracy" in svg
    curves = (tmp_path / "plots" / "training_curves.svg").read_text()
    assert "dng" in curves
    assert "trees" not in curves
    assert write_evaluation_plots(tmp_path) == written
    assert [path.read_bytes() for path in written] == contents


def write_run(folder):
    score = {"mean": 0.8, "low": 0.7, "high": 0.9, "seeds": [0.8]}
    undefined = {"mean": None, "low": None, "high": None, "seeds": [None]}
    metrics = {"dng": {"tau": score, "mse": score}, "flat": {"tau": undefined, "mse": score}}
    (folder / "run.json").write_text(json.dumps({"task": {"label": "test_accuracy"}}))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    predictions().write_parquet(folder / "predictions.parquet")
    (folder / "dng-0").mkdir()
    history = {"step": [1, 2], "epoch": [0, 1], "split": "val", "metric": "loss", "value": [0.1, 0.2]}
    pl.DataFrame(history).write_parquet(folder / "dng-0" / "history.parquet")
    (folder / "trees-0").mkdir()
    pl.DataFrame(history | {"metric": "tau"}).write_parquet(folder / "trees-0" / "history.parquet")
    true = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    save_file({"true": true, "shown": true / 2}, folder / "dng-0" / "images.safetensors")
    embeddings()[0].rename({"score": "test_accuracy"}).write_parquet(folder / "embeddings.parquet")


def test_an_unfinished_run_gives_the_figures_that_there_are(tmp_path):
    assert write_evaluation_plots(tmp_path) == []
    write_run(tmp_path)
    for name in ("embeddings.parquet", "dng-0/history.parquet", "metrics.json"):
        (tmp_path / name).unlink()
    assert {path.stem for path in write_evaluation_plots(tmp_path)} == {"reconstructions"}


@pytest.mark.parametrize("name", ["metrics.json", "predictions.parquet", "dng-0/images.safetensors"])
def test_a_damaged_file_of_a_run_is_named(tmp_path, name):
    write_run(tmp_path)
    (tmp_path / name).write_bytes(b"[1, 2")
    with pytest.raises(WsgraphError, match=name.rpartition("/")[2]):
        write_evaluation_plots(tmp_path)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="matplotlib") as caught:
        score_intervals(scores(), "tau")
    assert "wsgraph[plots]" in caught.value.remedy


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    figure = score_intervals(scores(), "tau")
    with pytest.raises(WsgraphError, match=r"\.png or a \.svg"):
        write_figure(figure, tmp_path / "figure.pdf")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(WsgraphError, match="cannot write"):
        write_figure(figure, tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
