"""From a zoo to predictions: the commands, the files they write, and what they say."""

import json
import subprocess
import sys

import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import kendalltau

import wsgraph
from wsgraph_encoders import collate
from wsgraph_encoders.tasks import (
    TrainSettings,
    evaluate_run,
    load_run,
    predict_models,
    train_task,
)

METHODS = ("dng", "static", "transformer", "flat", "statistics", "epoch")
SETTINGS = TrainSettings(epochs=15, patience=15, batch=8, chunk=8, hidden=16, trees=40)


@pytest.fixture(scope="module")
def trained(one_architecture, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "all"
    train_task(path, one_architecture, seeds=2, settings=SETTINGS)
    return path


def test_the_folder_is_what_it_promises(trained):
    opened = load_run(trained)
    assert opened.methods == METHODS
    assert opened.seeds == (0, 1)
    assert (opened.task.kind, opened.task.label) == ("accuracy", "test_accuracy")
    metrics = evaluate_run(trained, samples=50)
    assert tuple(metrics) == METHODS
    predictions = pl.read_parquet(trained / "predictions.parquet")
    assert predictions.columns == ["id", "split", "label", "method", "seed", "prediction"]
    assert len(predictions) == 40 * len(METHODS) * 2
    assert predictions["prediction"].is_between(0, 1).all()
    for (method, seed), rows in predictions.filter(pl.col("split") == "test").group_by(["method", "seed"]):
        score = metrics[method]["tau"]
        expected = kendalltau(rows["prediction"], rows["label"]).statistic
        assert score["seeds"][seed] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert score["low"] <= score["high"]
        history = pl.read_parquet(trained / f"{method}-{seed}" / "history.parquet")
        assert history.columns == ["step", "epoch", "split", "metric", "value"]
        assert len(history.filter((pl.col("split") == "val") & (pl.col("metric") == "tau"))) >= 1
    assert json.loads((trained / "metrics.json").read_text()) == json.loads(json.dumps(metrics))


def test_a_planted_label_is_learned(trained):
    """The label is the scale of the weights, so that even few networks are enough."""
    metrics = evaluate_run(trained, split="test", samples=50)
    assert metrics["dng"]["tau"]["mean"] > 0.7
    assert metrics["statistics"]["tau"]["mean"] > 0.7


@pytest.mark.parametrize("method", ["dng", "static", "transformer", "flat", "statistics"])
def test_encoders_embed(trained, one_architecture, method):
    encoder = load_run(trained).encoder(method)
    streams = [stream for _, stream in wsgraph.zoo.open_zoo(one_architecture).streams()][:3]
    with torch.no_grad():
        together = encoder.embed(collate(streams))
        alone = torch.cat([encoder.embed(collate([stream])) for stream in streams])
    assert not encoder.training
    assert together.shape[0] == 3
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1])


def test_predictions_for_new_files(trained, make_model, tmp_path):
    """A prediction for a model of the zoo is the zoo's; neurons' order makes no difference to the encoder."""
    model = make_model(5, 0.5, 7)
    torch.save(model.state_dict(), tmp_path / "new.pth")
    order = torch.tensor([3, 1, 4, 0, 2])
    shuffled = {
        "0.weight": model[0].weight[order], "0.bias": model[0].bias[order],
        "2.weight": model[2].weight[:, order], "2.bias": model[2].bias,
    }  # fmt: skip
    save_file({k: v.detach().contiguous() for k, v in shuffled.items()}, tmp_path / "shuffled.safetensors")
    wsgraph.compile(model, "1x3").save(tmp_path / "new.wsg")
    names = [str(tmp_path / name) for name in ("new.wsg", "new.pth", "shuffled.safetensors")]
    first, second, third = predict_models(trained, names)
    assert first["predictions"].keys() == set(METHODS) - {"epoch"}
    assert "how long" in first["left_out"]["epoch"]
    assert first["predictions"]["dng"] == second["predictions"]["dng"]
    assert third["predictions"]["dng"]["prediction"] == pytest.approx(
        first["predictions"]["dng"]["prediction"], abs=1e-5
    )
    assert third["predictions"]["flat"]["prediction"] != first["predictions"]["flat"]["prediction"]
    for answer in first["predictions"].values():
        low, high = min(answer["seeds"]), max(answer["seeds"])
        assert low <= answer["prediction"] <= high


def test_a_models_prediction_is_the_one_in_the_table(trained, one_architecture, tmp_path):
    zoo = wsgraph.zoo.open_zoo(one_architecture)
    zoo.stream("m000").save(tmp_path / "m000.wsg")
    (entry,) = predict_models(trained, [str(tmp_path / "m000.wsg")])
    for method, answer in entry["predictions"].items():
        for seed, value in enumerate(answer["seeds"]):
            table = pl.read_parquet(trained / f"{method}-{seed}" / "predictions.parquet")
            expected = table.filter(pl.col("id") == "m000")["prediction"].item()
            assert value == pytest.approx(expected, abs=1e-5)


def test_other_architectures(trained, two_architectures, make_model, tmp_path):
    """A flat MLP is for one architecture alone, an encoder by edge kinds for all."""
    other = tmp_path / "other.wsg"
    wsgraph.compile(make_model(9, 0.5, 1), "1x3").save(other)
    (entry,) = predict_models(trained, [str(other)])
    assert set(entry["left_out"]) == {"flat", "epoch"}
    mixed = train_task(tmp_path / "run", two_architectures, methods=["dng"], settings=SETTINGS)
    assert "flat" in mixed.skipped
    (entry,) = predict_models(tmp_path / "run", [str(other)])
    assert set(entry["predictions"]) == {"dng"}


def test_the_commands(run, two_architectures, make_model, tmp_path):
    arguments = ("--zoo", two_architectures, "-o", "r", "--method", "statistics", "--method", "flat")
    code, out, err = run("train", "accuracy", *arguments, "--json")
    assert (code, json.loads(out)["finished"]) == (0, [{"method": "statistics", "seed": 0}])
    assert "flat is left out" in err
    code, out, _ = run("evaluate", "r")
    assert code == 0
    assert "best by tau: statistics" in out
    code, out, _ = run("evaluate", "r", "--json", "--split", "val")
    assert json.loads(out)["metrics"].keys() == {"statistics"}
    wsgraph.compile(make_model(6, 0.4, 3), "1x3").save(tmp_path / "new.wsg")
    (tmp_path / "bad.pth").write_bytes(b"no checkpoint")
    code, out, err = run("predict", "r", "new.wsg", "bad.pth", "--json")
    assert code == 1
    good, bad = json.loads(out)["predictions"]
    assert 0 <= good["predictions"]["statistics"]["prediction"] <= 1
    assert "bad.pth" in err
    assert bad["error"]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("train", "--zoo", "ZOO", "-o", "r"), 2, "name a task"),
        (("train", "accuracy", "-o", "r"), 2, "--zoo"),
        (("train", "nonsense", "--zoo", "ZOO", "-o", "r"), 1, "no task and no label column"),
        (("train", "accuracy", "--label", "margin", "--zoo", "ZOO", "-o", "r"), 1, "[0, 1]"),
        (("train", "regress", "--label", "half", "--zoo", "ZOO", "-o", "r"), 1, "is no number"),
        (("train", "classify", "--label", "margin", "--zoo", "ZOO", "-o", "r"), 1, "fractions"),
        (("train", "accuracy", "--zoo", "ZOO", "-o", "r", "--method", "x"), 1, "no method 'x'"),
        (("train", "reconstruct", "--zoo", "ZOO", "-o", "r"), 1, "--label"),
        (("train", "accuracy", "--zoo", "nowhere", "-o", "r"), 1, "no zoo"),
        (("evaluate", "."), 1, "is no run"),
        (("predict", ".", "x.pt"), 1, "is no run"),
    ],
)
def test_what_cannot_be_done_is_said(run, two_architectures, arguments, code, message):
    filled = [two_architectures if word == "ZOO" else word for word in arguments]
    found, _, err = run(*filled)
    assert found == code
    assert message in err
    assert "Traceback" not in err


def test_another_run_in_the_folder_is_refused(run, two_architectures):
    first = ("train", "accuracy", "--zoo", two_architectures, "-o", "r", "--method", "epoch")
    assert run(*first)[0] == 0
    code, _, err = run(*first, "--epochs", "7")
    assert code == 1
    assert "epochs was 20, is 7" in err
    code, _, err = run("train", "classify", "--label", "half", *first[2:])
    assert code == 1


@pytest.mark.parametrize("package", ["lightning", "torchmetrics", "sklearn"])
def test_a_package_that_is_missing_is_named(run, two_architectures, monkeypatch, package):
    monkeypatch.setattr(
        "wsgraph_encoders.tasks.lightning_extra.find_spec", lambda name: None if name == package else name
    )
    method = "statistics" if package == "sklearn" else "dng"
    code, _, err = run("train", "accuracy", "--zoo", two_architectures, "-o", "r", "--method", method)
    assert code == 1
    assert package in err
    assert "wsgraph[train]" in err


def test_help_imports_no_torch():
    loaded = (
        "import sys, wsgraph_encoders.tasks.commands as c, typer; c.wsgraph_register_commands(typer.Typer())"
    )
    subprocess.run(
        [sys.executable, "-c", f"{loaded}; assert not {{'torch', 'polars'}} & set(sys.modules)"], check=True
    )
