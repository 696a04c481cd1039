"""Which device experiments compute on; no GPU is needed to test the choice."""

import json

import pytest
import torch
from typer.testing import CliRunner

from wsgraph.cli.main import _app
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.experiments import forward_fit, inr_classify, random_mlps
from wsgraph_encoders.experiments.devices import choose_device
from wsgraph_encoders.inrs import dataset


@pytest.mark.parametrize(
    ("name", "gpu", "expected"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_a_gpu_is_used_where_there_is_one(monkeypatch, name, gpu, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert choose_device(name).type == expected


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EncoderError, match="no CUDA device"):
        choose_device("cuda")
    for command in ("forward-fit", "inr-classify"):
        arguments = ["experiment", command, "-o", str(tmp_path), "--device", "cuda"]
        assert isinstance(CliRunner().invoke(_app(), arguments).exception, EncoderError)
        assert CliRunner().invoke(_app(), [*arguments[:-1], "tpu"]).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_both_experiments_move_their_data_to_the_chosen_device(monkeypatch, tmp_path):
    """``meta`` stands for a GPU: what is there has no values, so only what was moved is looked at."""
    for module in (forward_fit, inr_classify):
        monkeypatch.setattr(module, "choose_device", lambda _: torch.device("meta"))
    moved = random_mlps.random_mlps(2, (2, 3), 1, torch.Generator()).to(torch.device("meta"))
    tensors = (moved.inputs, *moved.weights, *moved.biases, *moved.activations)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    dataset.mnist_sirens(tmp_path, 10, steps=1)
    settings = inr_classify.InrClassifySettings(images=10, siren_steps=1)
    task, quality = inr_classify.inr_task(tmp_path, settings, lambda _: None)
    weights = task.streams[0].state_dict().values()
    assert {tensor.device.type for tensor in (*weights, task.images, task.labels)} == {"meta"}
    assert quality > 0


def test_the_device_is_no_setting_of_the_results(tmp_path):
    arguments = [
        "--train",
        "4",
        "--test",
        "2",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "-o",
        str(tmp_path),
        "--json",
    ]
    for device in ("auto", "cpu"):
        result = CliRunner().invoke(_app(), ["experiment", "forward-fit", *arguments, "--device", device])
        assert result.exit_code == 0, result.output
    assert "device" not in json.loads(result.stdout)["settings"]
