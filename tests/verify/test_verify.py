"""Verification: it passes for honest streams, and each check fails when what it checks is broken."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import wsgraph
from tests.compiler.nets import Net
from wsgraph.events.blocks import ParamView


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    ).eval()


def _checks(report: Any) -> dict[str, bool]:
    return {c.name: c.passed for c in report.checks}


def test_an_honest_stream_passes(model: nn.Module) -> None:
    stream = wsgraph.compile(model, "1x3x4x4")
    report = wsgraph.verify(stream, model, "1x3x4x4")
    assert report.ok
    assert list(_checks(report)) == [
        "structure", "ledger", "round trip", "influence", "permutation", "no permutation",
    ]  # fmt: skip
    assert str(report).count("ok") >= 6


def test_other_weights_fail_the_round_trip(model: nn.Module) -> None:
    stream = wsgraph.compile(model, "1x3x4x4")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["4.weight"][0, 0] += 1
    report = wsgraph.verify(stream.bind(state), model, "1x3x4x4")
    assert not report.ok
    assert [name for name, passed in _checks(report).items() if not passed] == ["round trip"]


def test_a_stream_of_another_model_fails(model: nn.Module) -> None:
    other = wsgraph.compile(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), "1x3")
    checks = _checks(wsgraph.verify(other, model, "1x3x4x4"))
    assert not checks["structure"]
    assert not checks["ledger"]


def test_a_false_claim_fails_the_permutation() -> None:
    """Two neurons that a constant tells apart, in a stream whose notes were tampered with."""
    net = Net(lambda s, x: s.b(s.a(x) * torch.arange(4.0)), a=nn.Linear(3, 4), b=nn.Linear(4, 2))
    stream = wsgraph.compile(net, "1x3")
    lines = stream.structure.meta["symmetry"]
    assert isinstance(lines, tuple)
    meta = {**stream.structure.meta, "symmetry": tuple(n for n in lines if not str(n).startswith("class"))}
    fooled = wsgraph.EventStream(replace(stream.structure, meta=meta), stream.weights)
    report = wsgraph.verify(fooled, net, "1x3")
    assert [name for name, passed in _checks(report).items() if not passed] == ["permutation"]
    assert "4 neurons" in str(report)


def test_wrong_weights_on_edges_fail(model: nn.Module) -> None:
    """An edge block that reads its rows in another order is another structure."""
    stream = wsgraph.compile(model, "1x3x4x4")
    edges = list(stream.edge_blocks)
    feature = edges[-1].feature
    assert isinstance(feature, ParamView)
    edges[-1] = replace(edges[-1], feature=replace(feature, strides=(16, 1, 4)))
    tampered = wsgraph.EventStream(replace(stream.structure, edges=tuple(edges)), stream.weights)
    assert not wsgraph.verify(tampered, model, "1x3x4x4").ok


def test_command(run: Any) -> None:
    torch.save(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), "model.pt")
    code, out, _ = run("verify", "model.pt", "--input", "1x3")
    assert code == 0
    assert "permutation" in out
    code, out, _ = run("verify", "model.pt", "--input", "1x3", "--json")
    assert code == 0
    assert json.loads(out)["ok"] is True
    code, _, err = run("verify", "missing.pt")
    assert code == 1
    assert "missing.pt" in err
    assert run("verify")[0] == 2


def test_symmetries_command(run: Any) -> None:
    torch.save(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), "model.pt")
    assert run("compile", "model.pt", "--input", "1x3", "-o", "out.wsg", "--no-weights")[0] == 0
    code, out, _ = run("symmetries", "out.wsg")
    assert code == 0
    assert "neurons" in out
    assert "positive_scale" in out
    code, out, _ = run("symmetries", "out.wsg", "--json")
    first = json.loads(out)["symmetries"][0]
    assert (code, first["kind"], first["size"]) == (0, "neurons", 4)
    code, out, _ = run("symmetries", "out.wsg", "--spec")
    spec = json.loads(out)
    assert spec["axes_to_perm"] == {
        "0.weight": ["P0", None], "0.bias": ["P0"], "2.weight": [None, "P0"], "2.bias": [None],
    }  # fmt: skip
    assert run("symmetries", "model.pt")[0] == 1
