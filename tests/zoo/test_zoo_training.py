"""Training zoos: reproducible, resumable, and the numbers in the table are the models' own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.nn import functional

import wsgraph.zoo.training.run as training
from wsgraph.errors import MissingDependencyError, ZooError
from wsgraph.zoo import TrainingPlan, open_zoo, train_zoo
from wsgraph.zoo.models.siren import Siren
from wsgraph.zoo.training.ensemble import Ensemble, member_init
from wsgraph.zoo.training.images import load_images
from wsgraph.zoo.training.recipes import build
from wsgraph.zoo.training.sirens import pixel_grid

SIZES = (
    "image_size",
    "patch_size",
    "num_classes",
    "channels",
    "dim",
    "depth",
    "heads",
    "dim_head",
    "mlp_dim",
)
LISTS = ("channels", "kernel_size", "stride", "padding", "activations", "residual")


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch):
    monkeypatch.setattr(training, "GROUP_SIZES", {"vit": 3, "cnn": 3, "park": 2, "siren": 4})


def rebuilt(kind, row):
    if kind == "vit":
        return build(kind, {name: row[f"config.{name}"] for name in SIZES})
    lists = {name: json.loads(row[f"config.{name}"]) for name in LISTS}
    return build(kind, lists | {"n_classes": row["config.n_classes"]})


@pytest.mark.parametrize("kind", ["vit", "cnn", "park"])
def test_the_table_says_what_the_models_do(tmp_path, kind):
    assert train_zoo(TrainingPlan(kind, "digits", 4, seed=1, max_epochs=2), tmp_path / "zoo") == 4
    zoo, images = open_zoo(tmp_path / "zoo"), load_images("digits")
    for row in zoo.models.iter_rows(named=True):
        model = rebuilt(kind, row)
        model.load_state_dict(zoo.stream(row["id"]).state_dict())
        logits = model(images.test)
        accuracy = (logits.argmax(1) == images.test_labels).float().mean().item()
        assert row["test_accuracy"] == pytest.approx(accuracy, abs=2 / len(images.test))
        loss = functional.cross_entropy(logits, images.test_labels).item()
        assert row["test_loss"] == pytest.approx(loss, rel=1e-4)
    members = ("config.lr", "config.seed", "config.init_scale", "config.data_fraction")
    assert all(zoo.models[name].n_unique() == 4 for name in members)


def test_a_longer_or_interrupted_training_has_the_same_models(tmp_path):
    plan = TrainingPlan("cnn", "digits", 6, max_epochs=2)
    train_zoo(plan, tmp_path / "whole")
    assert train_zoo(TrainingPlan("cnn", "digits", 3, max_epochs=2), tmp_path / "parts") == 3
    assert train_zoo(plan, tmp_path / "parts") == 3
    assert train_zoo(plan, tmp_path / "parts") == 0
    whole, parts = open_zoo(tmp_path / "whole"), open_zoo(tmp_path / "parts")
    assert whole.models.equals(parts.models)  # digests of the weights included


def test_other_settings_under_the_same_names_are_refused(tmp_path):
    train_zoo(TrainingPlan("siren", "digits", 2, steps=2), tmp_path / "zoo")
    with pytest.raises(ZooError, match="steps 2"):
        train_zoo(TrainingPlan("siren", "digits", 2, steps=3), tmp_path / "zoo")
    assert train_zoo(TrainingPlan("siren", "digits", 2, seed=1, steps=3), tmp_path / "zoo") == 2


def test_sirens_hold_their_images(tmp_path):
    train_zoo(TrainingPlan("siren", "digits", 3, steps=400), tmp_path / "zoo")
    zoo, images = open_zoo(tmp_path / "zoo"), load_images("digits")
    pixels = torch.cat([images.train, images.test])
    for row in zoo.models.iter_rows(named=True):
        model = Siren()
        model.load_state_dict(zoo.stream(row["id"]).state_dict())
        error = (model(pixel_grid(8))[:, 0] - pixels[row["image"]].flatten()).square().mean()
        assert row["psnr"] == pytest.approx(-10 * error.log10().item(), abs=0.1)
        assert row["psnr"] > 30
    assert zoo.models["label"].to_list() == torch.cat([images.train_labels, images.test_labels])[:3].tolist()


def test_an_ensemble_trains_as_each_network_does_alone():
    """Against torch's own Adam, network by network."""
    inits = [member_init(Siren, seed, 1.0) for seed in (0, 1)]
    together = Ensemble(Siren(), inits, [1e-3, 1e-2], [0.0, 0.0], torch.device("cpu"))
    torch.manual_seed(0)
    x, y = torch.rand(16, 2), torch.rand(16, 1)
    for _ in range(5):
        together.step((together(x, shared=True) - y).square().mean((1, 2)))
    for place, lr in enumerate((1e-3, 1e-2)):
        alone = Siren()
        alone.load_state_dict(inits[place])
        adam = torch.optim.Adam(alone.parameters(), lr=lr)
        for _ in range(5):
            adam.zero_grad()
            (alone(x) - y).square().mean().backward()
            adam.step()
        for name, value in alone.state_dict().items():
            # Batched sums round differently, and Adam divides small gradients by their own size.
            torch.testing.assert_close(together.member(place)[name], value, rtol=1e-3, atol=1e-5)


def test_label_noise_and_data_fraction_change_what_a_member_sees():
    from wsgraph.zoo.training.classifiers import _Data
    from wsgraph.zoo.training.recipes import Member

    images = load_images("digits")
    clean = _Data(Member(3, 0.1, 0, 1, 0.5, 0.0, 1), images)
    noisy = _Data(Member(3, 0.1, 0, 1, 0.5, 0.4, 1), images)
    assert len(clean.chosen) == round(0.5 * len(images.train)) == len(set(clean.chosen.tolist()))
    assert torch.equal(clean.labels, images.train_labels)
    wrong = (noisy.labels != images.train_labels).float().mean().item()
    assert 0.28 < wrong < 0.44  # 0.4 are redrawn, a tenth of them to what they were
    assert set(clean.batches(20).flatten().tolist()) <= set(clean.chosen.tolist())


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependencyError, match=r"wsgraph\[zoo\]"):
        train_zoo(TrainingPlan("cnn", "digits", 1), tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_a_killed_training_loses_no_finished_group(tmp_path, monkeypatch):
    monkeypatch.setitem(training.GROUP_SIZES, "siren", 64)  # as in the process that is killed
    arguments = ["zoo", "train", "siren", "--images", "digits", "--count", "150", "--steps", "40", "-o"]
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (root, root / "plugins", root / "encoders")))
    }
    command = [sys.executable, "-m", "wsgraph", *arguments, tmp_path / "killed"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "killed" / "models.parquet").is_file():
        time.sleep(0.005)
    process.kill()
    process.wait()
    finished = open_zoo(tmp_path / "killed").models
    assert len(finished) in {64, 128, 150}
    plan = TrainingPlan("siren", "digits", 150, steps=40)
    assert train_zoo(plan, tmp_path / "killed") == 150 - len(finished)
    train_zoo(plan, tmp_path / "whole")
    killed, whole = open_zoo(tmp_path / "killed").models, open_zoo(tmp_path / "whole").models
    assert killed.equals(whole)
    assert finished.equals(killed.head(len(finished)))
