"""``wsgraph compile`` and ``wsgraph inspect`` on a real file."""

import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

import wsgraph


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    torch.save(module, tmp_path / "net.pt")
    return module


def test_compile_says_what_it_did(run, model, tmp_path):
    code, out, err = run("compile", "net.pt", "--input", "1x2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "origin       net.pt" in lines
    assert any(line.startswith("frontend     torch.export") for line in lines)
    assert " ".join(next(line for line in lines if line.split()[:1] == ["1"]).split()) == "1 0 hidden 8 16"
    assert "2 timestamps, 11 nodes, 24 edges (parallel ones counted)" in lines
    assert any(line.split() == ["lowered", "33", "0"] for line in lines)
    assert lines[-1] == "written to net.wsg"
    restored = wsgraph.load(tmp_path / "net.wsg").state_dict()
    assert all(torch.equal(restored[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.usefixtures("model")
def test_json_is_the_only_thing_on_standard_output(run):
    code, out, err = run("compile", "net.pt", "--input", "1x2", "--json", "-o", "sub.wsg")
    assert code == 0
    report = json.loads(out)
    assert report["written"] == "sub.wsg"
    assert (report["timestamps"], report["nodes"], report["edges"]) == (2, 11, 24)
    assert report["timeline"][1] == {"t": 1, "scopes": ["0"], "roles": ["hidden"], "nodes": 8, "edges": 16}
    assert report["ledger"]["totals"]["parameter"]["lowered"] == 33
    assert report["nonfinite"] == {}
    assert "written to sub.wsg" in err


@pytest.mark.usefixtures("model")
def test_inspect_tells_what_compile_told(run):
    _, compiled, _ = run("compile", "net.pt", "--input", "1x2", "--json")
    code, out, _ = run("inspect", "net.wsg", "--json")
    assert code == 0
    told, inspected = json.loads(compiled), json.loads(out)
    assert inspected.pop("file") == "net.wsg"
    assert {key: told[key] for key in inspected} == inspected
    code, out, err = run("inspect", "net.wsg")
    assert (code, err) == (0, "")
    assert f"fingerprint  {inspected['fingerprint']}" in out
    assert "2 timestamps, 11 nodes, 24 edges" in out


def test_what_is_not_finite_is_compiled_and_flagged(run, model, tmp_path):
    model[0].weight.data[0, 0] = float("nan")
    model[0].weight.data[1, 1] = float("-inf")
    torch.save(model, tmp_path / "net.pt")
    for command in (("compile", "net.pt", "--input", "1x2"), ("inspect", "net.wsg")):
        code, out, err = run(*command)
        assert (code, err) == (0, "")
        assert "warning: 0.weight has 2 elements that are NaN or infinite" in out
        code, out, _ = run(*command, "--json")
        assert code == 0
        assert json.loads(out)["nonfinite"] == {"0.weight": 2}
    restored = wsgraph.load(tmp_path / "net.wsg").state_dict()["0.weight"]
    assert torch.equal(restored.isfinite(), model[0].weight.isfinite())


@pytest.mark.usefixtures("model")
def test_no_weights_never_reads_them(run, monkeypatch):
    """They may be larger than the machine's memory."""

    def read(_tensor):
        raise AssertionError("a weight was read")

    monkeypatch.setattr("wsgraph.events.stream.count_nonfinite", read)
    code, _, error = run("compile", "net.pt", "--input", "1x2", "--no-weights")
    assert (code, error) == (0, "")


@pytest.mark.usefixtures("model")
def test_no_weights_leaves_structure_only(run, tmp_path):
    code, out, _ = run("compile", "net.pt", "--input", "1x2", "--no-weights")
    assert code == 0
    assert out.splitlines()[-1] == "written to net.wsg, without weights: they stay in net.pt"
    with safe_open(tmp_path / "net.wsg", "pt") as file:
        assert "0.weight" not in file.keys()  # noqa: SIM118  a safetensors handle is no mapping
    code, out, _ = run("inspect", "net.wsg", "--json")
    assert code == 0
    assert json.loads(out)["nonfinite"] == {}


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(("emit", "contained"), [("ir", "aten.linear"), ("events", "+E")])
def test_emit_text_goes_to_standard_output_or_a_file(run, tmp_path, emit, contained):
    code, text, err = run("compile", "net.pt", "--input", "1x2", "--emit", emit)
    assert (code, err) == (0, "")
    assert contained in text
    code, out, _ = run("compile", "net.pt", "--input", "1x2", "--emit", emit, "-o", "text.txt")
    assert (code, out) == (0, "written to text.txt\n")
    assert (tmp_path / "text.txt").read_text().strip() == text.strip()
    code, out, _ = run("compile", "net.pt", "--input", "1x2", "--emit", emit, "--json")
    assert json.loads(out)["text"].strip() == text.strip()
    assert not (tmp_path / "net.wsg").exists()


@pytest.mark.usefixtures("model")
def test_a_malformed_shape_is_one_message(run, tmp_path):
    code, out, err = run("compile", "net.pt", "--input", "1xtwo")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "1xtwo" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt"]
