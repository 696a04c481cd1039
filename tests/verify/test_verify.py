"""Verification: it passes for honest streams, and each check fails when what it checks is broken."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net
from wsgraph.events.blocks import ParamView
from wsgraph.verification.others import Move, crossing


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


class FromFeatures(nn.Module):
    """What its inputs are cannot be worked out from its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(7, 4), nn.Linear(5, 4)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        return (self.layer(features.view(1, 3, 5)) * self.table(tokens)).sum(1)


def test_inputs_are_read_off_the_stream() -> None:
    model = FromFeatures().eval()
    given = (torch.rand(15), torch.ones(1, 3, dtype=torch.int64))
    assert wsgraph.verify(wsgraph.compile(model, given), model).ok


def test_other_weights_fail_the_round_trip(model: nn.Module) -> None:
    stream = wsgraph.compile(model, "1x3x4x4")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["4.weight"][0, 0] += 1
    report = wsgraph.verify(stream.bind(state), model, "1x3x4x4")
    assert not report.ok
    assert [name for name, passed in _checks(report).items() if not passed] == ["round trip"]


def test_a_stream_of_another_model_fails(model: nn.Module) -> None:
    other = wsgraph.compile(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), "1x3")
    for report in (wsgraph.verify(other, model, "1x3x4x4"), wsgraph.verify(other, nn.Linear(3, 5))):
        checks = _checks(report)
        assert not checks["structure"]
        assert not checks["ledger"]


def _heads(s: Net, x: Tensor) -> Any:
    q, k, v = (t.view(1, 5, 2, 3).transpose(1, 2) for t in s.a(x).chunk(3, -1))
    return s.b(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


_TOO_LARGE: dict[str, tuple[nn.Module, str, str, tuple[int, str]]] = {
    # note that is taken out of the stream: what is claimed without it
    "class": (
        Net(lambda s, x: s.b(s.a(x) * torch.arange(4.0)), a=nn.Linear(3, 4), b=nn.Linear(4, 2)), "1x3",
        "class", (4, "neurons"),
    ),
    "two neurons that differ": (
        Net(lambda s, x: s.b(s.a(x) * torch.tensor([1.0, 2.0])), a=nn.Linear(3, 2), b=nn.Linear(2, 2)),
        "1x3", "class", (2, "neurons"),
    ),
    "couple": (
        nn.Sequential(
            nn.Conv2d(3, 6, 1), nn.GroupNorm(2, 6, affine=False), nn.ReLU(), nn.Conv2d(6, 2, 1)
        ), "1x3x4x4", "couple", (6, "neurons"),
    ),
    "meet": (Net(_heads, a=nn.Linear(3, 18), b=nn.Linear(6, 2)), "1x5x3", "meet", (3, "query_key")),
    "pin": (
        Net(lambda s, x: s.b(nn.functional.avg_pool1d(s.a(x), 2)), a=nn.Linear(3, 4), b=nn.Linear(2, 2)),
        "1x5x3", "pin", (4, "neurons"),
    ),
    "recurrence": (
        Net(lambda s, x: s.b(s.a(x)[0]), a=nn.LSTM(3, 4), b=nn.Linear(4, 2)), "4x1x3",
        "meet", (4, "neurons"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _TOO_LARGE)
def test_a_group_that_is_too_large_fails_the_permutation(name: str) -> None:
    """Streams without one kind of the compiler's notes claim more than holds."""
    net, spec, note, (size, kind) = _TOO_LARGE[name]
    stream = wsgraph.compile(net, spec)
    assert wsgraph.verify(stream, net, spec).ok
    lines = stream.structure.meta["symmetry"]
    assert isinstance(lines, tuple)
    meta = {**stream.structure.meta, "symmetry": tuple(n for n in lines if not str(n).startswith(note))}
    fooled = wsgraph.EventStream(replace(stream.structure, meta=meta), stream.weights)
    assert (size, kind) in {(s.size, s.kind) for s in wsgraph.symmetries(fooled)}
    for seed in range(5):
        report = wsgraph.verify(fooled, net, spec, seed=seed)
        assert [name for name, passed in _checks(report).items() if not passed] == ["permutation"]
        assert f"{size} {kind}" in str(report)


def test_moves_of_one_side_that_never_show_fail(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that is none: the model's output depends on what is moved, and does not change."""
    stream = wsgraph.compile(model, "1x3x4x4")
    monkeypatch.setattr(Move, "applied", lambda _self, tensor: tensor)
    report = wsgraph.verify(stream, model, "1x3x4x4")
    assert [name for name, passed in _checks(report).items() if not passed] == ["no permutation"]


def test_nothing_needs_to_show_where_nothing_matters() -> None:
    """With one token, an attention's weights are 1 whatever its queries and keys are."""

    def forward(s: Net, x: Tensor) -> Any:
        return nn.functional.scaled_dot_product_attention(s.q(x), s.k(x), x)

    net = Net(forward, q=nn.Linear(3, 4), k=nn.Linear(3, 4))
    assert wsgraph.verify(None, net, "1x1x3").ok
    assert "0 of 0" in str(wsgraph.verify(None, net, "1x1x3"))
    assert "1 of 1" in str(wsgraph.verify(None, net, "1x5x3"))


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(6, elementwise_affine=False), nn.GroupNorm(2, 6, affine=False), nn.RMSNorm(6)]
)
def test_norms_without_weights_mix_as_those_with_weights_do(norm: nn.Module) -> None:
    assert wsgraph.verify(None, nn.Sequential(nn.Linear(3, 6), norm, nn.Linear(6, 2)), "5x3").ok


def test_units_of_two_groups_are_exchanged() -> None:
    net = Net(_heads, a=nn.Linear(3, 18), b=nn.Linear(6, 2))
    moves = list(crossing(wsgraph.symmetries(wsgraph.compile(net, "1x5x3"))))
    assert {(m.parameter, m.dimension) for m in moves} >= {("a.weight", 0), ("a.bias", 0)}
    for move in moves:
        if move.dimension == 0 and len(move.moved) == 2:
            first, second = move.moved.tolist()
            assert first // 3 != second // 3  # rows of queries, keys or values of different heads
        tensor = torch.randn(net.get_parameter(move.parameter).shape)
        assert not torch.equal(move.applied(tensor), tensor)
        assert torch.equal(move.applied(move.applied(tensor)), tensor)


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


def test_a_norm_of_single_numbers_lets_nothing_through() -> None:
    model = nn.Sequential(nn.Linear(3, 1), nn.LayerNorm(1), nn.Linear(1, 2))
    report = wsgraph.verify(None, model, "5x3")
    assert report.ok
    assert "1 edge blocks unchecked" in str(report)


def test_neurons_picked_by_value_may_be_any() -> None:
    """A detector's best boxes: that a neuron was not among them this time says nothing."""

    def forward(s: Net, x: Tensor) -> Any:
        return s.box(x)[0][s.score(x)[0].topk(2).indices]

    net = Net(forward, score=nn.Linear(3, 40), box=nn.Linear(3, 40))
    for seed in range(3):
        assert wsgraph.verify(None, net, "1x3", seed=seed).ok


def test_an_output_that_rounding_decides_tells_nothing() -> None:
    def forward(s: Net, x: Tensor) -> Any:
        y = s.b(s.a(x))
        return y, (y.sum(1) - y.flip(1).sum(1)).sign()

    net = Net(forward, a=nn.Linear(3, 16), b=nn.Linear(16, 9))
    reports = [wsgraph.verify(None, net, "7x3", seed=seed) for seed in range(3)]
    assert all(report.ok for report in reports)
    assert any("rounding alone" in str(report) for report in reports)
