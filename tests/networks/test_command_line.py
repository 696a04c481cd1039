"""``wsgraph compile`` on files of real networks, as users have them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import wsgraph
from tests.networks.models import NETWORKS, random_model
from wsgraph.events.bits import same_bits

ROOT = Path(__file__).parents[2]


def assert_file_holds(path, tensors):
    state = wsgraph.load(path).state_dict()
    assert state.keys() == tensors.keys()
    assert all(same_bits(state[name], tensor) for name, tensor in tensors.items())


def test_a_whole_pickled_resnet_in_a_process_of_its_own(tmp_path):
    """Where torchvision's compiled operators are missing, nobody has defined them here but wsgraph."""
    model = random_model(NETWORKS["resnet18"])
    torch.save(model, tmp_path / "resnet.pt")
    command = [sys.executable, "-m", "wsgraph", "compile", "resnet.pt"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders")))
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    timeline = [line for line in lines if line[:1] and line[0].isdecimal()]
    assert [int(line[0]) for line in timeline[:-1]] == list(range(19))
    assert timeline[-1][:2] == ["18", "timestamps,"]
    assert ["lowered", "11,689,512", "9,600"] in lines
    assert_file_holds(tmp_path / "resnet.wsg", model.state_dict())


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "mixer_s16_224"])
def test_a_bare_state_dict_is_recognised(run, tmp_path, name):
    state = random_model(NETWORKS[name]).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    code, out, _ = run("compile", "weights.pth", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["timestamps"] == NETWORKS[name].timestamps
    assert any(f"recognised as {NETWORKS[name].arch}" in note for note in report["notes"])
    assert_file_holds(tmp_path / "weights.wsg", state)


def test_an_architecture_with_arguments(run, tmp_path):
    state = random_model(NETWORKS["simple_vit"]).state_dict()
    torch.save({"model": state, "epoch": 3}, tmp_path / "vit.pt")
    sizes = "image_size=32&patch_size=8&num_classes=10&dim=64&depth=2&heads=4&mlp_dim=128"
    code, out, _ = run("compile", "vit.pt", "--arch", f"vit_pytorch:SimpleViT?{sizes}", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["timestamps"] == 12
    assert report["inputs"] == ["img: f32[1, 3, 32, 32]"]
    assert_file_holds(tmp_path / "vit.wsg", state)


def test_a_siren_is_read_as_a_chain(run, tmp_path):
    siren = nn.Sequential(nn.Linear(2, 32), nn.Linear(32, 32), nn.Linear(32, 1))
    state = {
        f"seq.{i}.{name}": tensor
        for i, layer in enumerate(siren)
        for name, tensor in layer.state_dict().items()
    }
    torch.save(state, tmp_path / "siren.pth")
    code, out, _ = run("compile", "siren.pth", "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["timestamps"], report["nodes"], report["edges"]) == (
        3,
        2 + 32 + 32 + 1,
        2 * 32 + 32 * 32 + 32,
    )
    assert any("SIREN 2-32-32-1" in note for note in report["notes"])
    assert_file_holds(tmp_path / "siren.wsg", state)


def test_an_exported_program_needs_neither_library_nor_shapes(run, tmp_path):
    model = random_model(NETWORKS["simple_vit"])
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 32, 32),)), tmp_path / "vit.pt2")
    code, out, _ = run("compile", "vit.pt2", "--json")
    assert code == 0
    assert json.loads(out)["timestamps"] == 12
    assert_file_holds(tmp_path / "vit.wsg", model.state_dict())
