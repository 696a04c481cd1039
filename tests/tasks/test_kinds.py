"""Classes, any number, images; and what is left out of a zoo."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from tests.tasks.conftest import mlp, weights
from wsgraph.compiler import compile as compile_model
from wsgraph.zoo import ModelRecord, TrainingPlan, ZooWriter, open_zoo, train_zoo
from wsgraph.zoo.training.images import load_images
from wsgraph_encoders import collate
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks import TrainSettings, evaluate_run, load_run, predict_models, train_task
from wsgraph_encoders.tasks.columns import choose_column
from wsgraph_encoders.tasks.examples import draw_examples

SETTINGS = TrainSettings(epochs=15, patience=15, batch=8, chunk=8, hidden=16, trees=30)


def test_classes_by_name(two_architectures, make_model, tmp_path):
    run = train_task(
        tmp_path / "r",
        two_architectures,
        "classify",
        label="half",
        methods=["dng", "statistics"],
        settings=SETTINGS,
    )
    assert run.task.classes == ("high", "low")
    metrics = evaluate_run(tmp_path / "r", samples=20)
    assert metrics["dng"]["accuracy"]["mean"] >= 0.75
    predictions = pl.read_parquet(tmp_path / "r" / "predictions.parquet")
    test = predictions.filter((pl.col("split") == "test") & (pl.col("method") == "dng"))
    assert metrics["dng"]["accuracy"]["mean"] == (test["label"] == test["prediction"]).mean()
    compile_model(make_model(4, 0.9, 5), "1x3").save(tmp_path / "new.wsg")
    (entry,) = predict_models(tmp_path / "r", [str(tmp_path / "new.wsg")])
    assert entry["predictions"]["dng"]["prediction"] == "high"


def test_any_number_by_its_column(two_architectures, tmp_path):
    """Predictions are on the label's own scale, from -3 to 29."""
    run = train_task(tmp_path / "r", two_architectures, "margin", methods=["dng", "epoch"], settings=SETTINGS)
    assert run.task.kind == "regress"
    metrics = evaluate_run(tmp_path / "r", samples=20)
    assert metrics["dng"]["r2"]["mean"] > 0.5 > metrics["epoch"]["r2"]["mean"]
    labels = run.examples.filter(pl.col("split") == "train")["label"]
    assert (run.task.mean, run.task.deviation) == pytest.approx((labels.mean(), labels.std(ddof=0)))


@pytest.fixture(scope="module")
def sirens(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoo") / "sirens"
    train_zoo(TrainingPlan("siren", "digits", 24, steps=30), path)
    return path


def test_images(sirens, tmp_path):
    run = train_task(
        tmp_path / "r", sirens, "reconstruct", methods=["inr2jls-plain", "mean"],
        settings=TrainSettings(epochs=3, batch=8, chunk=8, hidden=16),
    )  # fmt: skip
    assert run.task.image_shape == (1, 8, 8)
    metrics = evaluate_run(tmp_path / "r", samples=20)
    shipped = load_images("digits")
    images = torch.cat([shipped.train, shipped.test]).numpy()
    examples = run.examples
    rows = {
        split: examples.filter(pl.col("split") == split)["label"].to_list() for split in ("train", "test")
    }
    errors = ((images[rows["test"]] - images[rows["train"]].mean(0)) ** 2).mean((1, 2, 3))
    assert metrics["mean"]["mse"]["mean"] == pytest.approx(errors.mean(), rel=1e-4)
    assert metrics["mean"]["psnr"]["mean"] == pytest.approx((-10 * np.log10(errors)).mean(), rel=1e-4)
    pictures = load_file(tmp_path / "r" / "inr2jls-plain-0" / "images.safetensors")
    error = (pictures["shown"] - pictures["true"]).square().mean((1, 2, 3))
    assert float(error.mean()) <= metrics["inr2jls-plain"]["mse"]["mean"] + 1e-6  # shown is cut to [0, 1]
    _, stream = next(open_zoo(sirens).streams())
    assert load_run(tmp_path / "r").encoder().embed(collate([stream, stream])).shape == (2, 16)
    with pytest.raises(EncoderError, match="image"):
        predict_models(tmp_path / "r", ["x.pt"])


def test_images_of_a_file(sirens, tmp_path):
    draw = np.random.default_rng(0)
    np.save(tmp_path / "colour.npy", draw.integers(0, 256, (30, 12, 16, 3), dtype=np.uint8))
    run = train_task(
        tmp_path / "r", sirens, "reconstruct", images=str(tmp_path / "colour.npy"), methods=["mean"]
    )
    assert run.task.image_shape == (3, 12, 16)
    assert (
        4 < evaluate_run(tmp_path / "r", samples=20)["mean"]["psnr"]["mean"] < 12
    )  # uniform noise: 10.8 at best
    np.save(tmp_path / "few.npy", np.zeros((3, 8, 8)))
    with pytest.raises(EncoderError, match="3 images"):
        train_task(tmp_path / "q", sirens, "reconstruct", images=str(tmp_path / "few.npy"))


def write(path, rows):
    """A zoo of rows: split, labels, weight."""
    structure = compile_model(mlp(4), "1x3").structure
    with ZooWriter(path, {"command": "test"}) as writer:
        for number, (split, labels, scale) in enumerate(rows):
            record = ModelRecord(f"m{number}", "test", None, split, labels)
            writer.add(record, structure, weights(mlp(4), scale, number))
    return open_zoo(path)


def test_models_that_cannot_take_part_are_left_out_and_counted(tmp_path):
    good = [(split, {"acc": 0.1 * i}, 1.0) for i, split in enumerate(("train", "valid", "test") * 3)]
    odd = [("train", {"acc": None}, 1.0), ("test", {"acc": math.nan}, 1.0), ("val", {"acc": 0.5}, math.nan)]
    zoo = write(tmp_path / "zoo", [*good, *odd, (None, {"acc": 0.5}, 1.0), ("extra", {"acc": 0.5}, 1.0)])
    table, notes = draw_examples(zoo, "accuracy", "acc", 0)
    assert table["id"].to_list() == [f"m{i}" for i in range(9)]
    assert table["split"].to_list() == ["train", "val", "test"] * 3
    assert [note.split()[0] for note in notes] == ["2", "1", "2"]


def test_splits_that_a_zoo_does_not_have(tmp_path):
    zoo = write(tmp_path / "none", [(None, {"acc": 0.1}, 1.0)] * 20)
    table, notes = draw_examples(zoo, "accuracy", "acc", 0)
    assert dict(table["split"].value_counts().iter_rows()) == {"train": 14, "val": 3, "test": 3}
    assert table.equals(draw_examples(zoo, "accuracy", "acc", 0)[0])
    assert not table.equals(draw_examples(zoo, "accuracy", "acc", 1)[0])
    assert "no splits" in notes[0]
    zoo = write(tmp_path / "two", [("test" if i < 4 else "train", {"acc": 0.1}, 1.0) for i in range(24)])
    table, notes = draw_examples(zoo, "accuracy", "acc", 0)
    assert dict(table["split"].value_counts().iter_rows()) == {"train": 17, "val": 3, "test": 4}
    assert table["split"].to_list()[:4] == ["test"] * 4
    assert "no validation" in notes[0]


def test_a_split_without_models_is_an_error(tmp_path):
    zoo = write(tmp_path / "zoo", [("train", {"acc": 0.1}, 1.0)] * 19)
    with pytest.raises(EncoderError, match=r"'test' .* has 0 models"):
        draw_examples(zoo, "accuracy", "acc", 0)
    rows = [
        (split, {"acc": 0.1, "label": i % 2}, 1.0)
        for i, split in enumerate(("train", "train", "val", "test"))
    ]
    zoo = write(tmp_path / "small", rows)
    with pytest.raises(EncoderError, match=r"'val' .* has 1 models"):
        draw_examples(zoo, "accuracy", "acc", 0)
    assert len(draw_examples(zoo, "classify", "label", 0)[0]) == 4


@pytest.mark.parametrize(
    ("columns", "name", "label", "expected"),
    [
        (("final_acc", "test_accuracy"), "accuracy", None, ("accuracy", "test_accuracy")),
        (("my_acc", "epoch"), "accuracy", None, ("accuracy", "my_acc")),
        (("my_acc",), "my_acc", None, ("regress", "my_acc")),
        (("label", "x"), "classify", None, ("classify", "label")),
        (("label",), None, "label", ("classify", "label")),
        (("x",), None, "x", ("regress", "x")),
        (("x",), "classify", "x", ("classify", "x")),
        (("acc_a", "acc_b"), "accuracy", None, "acc_a, acc_b"),
        (("x",), "accuracy", "y", "'y'"),
        (("x",), "y", None, "'y'"),
        (("x",), None, None, "--label"),
    ],
)
def test_the_column_that_is_meant(columns, name, label, expected):
    models = pl.DataFrame({"id": ["a"]} | {column: [0.5] for column in columns})
    if isinstance(expected, tuple):
        assert choose_column(models, name, label) == expected
    else:
        with pytest.raises(EncoderError, match=expected):
            choose_column(models, name, label)
