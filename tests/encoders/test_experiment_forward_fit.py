"""Section 7's experiment and the scalar example of section 3.3."""

import json

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from wsgraph.cli.main import _app
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.experiments.activation_models import DynamicFit, StaticFit
from wsgraph_encoders.experiments.forward_fit import ForwardFitSettings, forward_fit, summarise
from wsgraph_encoders.experiments.random_mlps import FitData, random_mlps

TINY = ForwardFitSettings(train=6, test=4, sizes=(2, 3, 3, 3), inputs=2, hidden=4, epochs=2, batch=4)


class ProductMessage(nn.Module):
    """φ_m of the example: weight times source."""

    def forward(self, source: Tensor, edge: Tensor) -> Tensor:
        return (source.unsqueeze(1) * edge).sum(2)


class AddingUpdate(nn.Module):
    """φ_u of the example: the node's own state plus the message."""

    def forward(self, message: Tensor, node: Tensor) -> Tensor:
        return message + node


def scalar_model(kind: type, layers: int = 2) -> nn.Module:
    """The experiment's own model with the example's natural φ_m and φ_u, features the scalars themselves."""
    model = kind(layers, 1, shared=False)
    for linear in (model.input, model.bias, model.weight, model.readout):
        nn.init.ones_(linear.weight)
        nn.init.zeros_(linear.bias)
    model.messages = nn.ModuleList(ProductMessage() for _ in range(layers))
    model.updates = nn.ModuleList(AddingUpdate() for _ in range(layers))
    if kind is StaticFit:
        model.edge_updates = nn.ModuleList()  # the example has none
    return model


def scalar_network(x: float) -> FitData:
    """w1 = 3, b1 = 2, w2 = 5, b2 = 1."""
    weights = (torch.tensor([[[3.0]]]), torch.tensor([[[5.0]]]))
    biases = (torch.tensor([[2.0]]), torch.tensor([[1.0]]))
    return FitData(torch.tensor([[x]]), weights, biases, biases)


@pytest.mark.parametrize("x", [0.0, 1.0, -2.0, 0.5])
def test_the_scalar_example_of_section_3_3(x):
    dynamic = scalar_model(DynamicFit)(scalar_network(x))
    assert dynamic[0].item() == 2 + 3 * x
    assert dynamic[1].item() == 1 + 5 * (2 + 3 * x)
    once = scalar_model(StaticFit, layers=1)(scalar_network(x))
    assert once[0].item() == 2 + 3 * x
    assert once[1].item() == 11  # b2 + w2 b1: the undesired term
    twice = scalar_model(StaticFit)(scalar_network(x))
    assert twice[1].item() == 11 + 5 * (2 + 3 * x)
    assert twice[1].item() - dynamic[1].item() == 10  # exactly w2 b1


def test_no_function_of_the_compound_value_tells_the_bias():
    """Two networks with the same v2(1) and different b2 (section 3.3)."""
    first = scalar_network(1.0)
    second = FitData(
        first.inputs,
        (first.weights[0], torch.tensor([[[4.0]]])),
        (first.biases[0], torch.tensor([[3.0]])),
        (),
    )
    model = scalar_model(StaticFit, layers=1)
    assert model(first)[1].item() == model(second)[1].item() == 11


def test_activations_are_what_the_network_computes():
    data = random_mlps(5, (3, 4, 2), 2, torch.Generator().manual_seed(0))
    assert len(data) == 10
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU())
    for row in range(len(data)):
        state = {
            "0.weight": data.weights[0][row], "0.bias": data.biases[0][row],
            "2.weight": data.weights[1][row], "2.bias": data.biases[1][row],
        }  # fmt: skip
        model.load_state_dict(state)
        with torch.no_grad():
            hidden, output = model[:2](data.inputs[row]), model(data.inputs[row])
        assert torch.allclose(hidden, data.activations[0][row], atol=1e-6)
        assert torch.allclose(output, data.activations[1][row], atol=1e-6)
    assert torch.equal(data.weights[0][0], data.weights[0][1])  # two inputs of one network
    assert not torch.equal(data.inputs[0], data.inputs[1])


@pytest.mark.parametrize("shared", [False, True])
def test_both_models_have_the_same_message_and_update_functions(shared):
    static, dynamic = (kind(3, 8, shared=shared).state_dict() for kind in (StaticFit, DynamicFit))
    assert {k: v.shape for k, v in dynamic.items()} == {
        k: v.shape for k, v in static.items() if not k.startswith("edge_updates")
    }


@pytest.mark.parametrize("kind", [StaticFit, DynamicFit])
def test_predictions_follow_permuted_neurons(kind):
    torch.manual_seed(0)
    model = kind(2, 4).double()
    data = random_mlps(3, (2, 5, 3), 1, torch.Generator().manual_seed(1))
    doubled = FitData(
        data.inputs.double(),
        *(tuple(x.double() for x in p) for p in (data.weights, data.biases, data.activations)),
    )
    order = torch.randperm(5)
    weights = (doubled.weights[0][:, order], doubled.weights[1][:, :, order])
    permuted = FitData(doubled.inputs, weights, (doubled.biases[0][:, order], doubled.biases[1]), ())
    a, b = model(doubled), model(permuted)
    assert torch.allclose(a[0][:, order], b[0], rtol=1e-10)
    assert torch.allclose(a[1], b[1], rtol=1e-10)


def test_the_dynamic_model_sees_the_first_layer_in_the_last_activation():
    torch.manual_seed(0)
    data = random_mlps(2, (2, 3, 3, 3), 1, torch.Generator().manual_seed(1))
    changed = FitData(data.inputs + 1, data.weights, data.biases, data.activations)
    for rounds, reaches in ((2, False), (3, True)):
        model = StaticFit(rounds, 16)
        assert torch.equal(model(data)[2], model(changed)[2]) is not reaches
    dynamic = DynamicFit(3, 16)
    assert not torch.equal(dynamic(data)[2], dynamic(changed)[2])


def test_results_are_kept_and_gone_on_with(tmp_path):
    lines: list[str] = []
    first = forward_fit(tmp_path, TINY, 1, lines.append)
    assert any("training MSE" in line for line in lines)
    lines.clear()
    second = forward_fit(tmp_path, TINY, 2, lines.append)
    assert not any(line.startswith(("static-0", "dynamic-0")) for line in lines)
    assert second["runs"]["static-0"] == first["runs"]["static-0"]
    assert set(second["runs"]) == {"static-0", "static-1", "dynamic-0", "dynamic-1"}
    assert (tmp_path / "forward_fit.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "forward_fit.json").read_text())["runs"] == second["runs"]
    with pytest.raises(EncoderError, match="other settings: epochs was 2, is 3"):
        forward_fit(tmp_path, ForwardFitSettings(6, 4, (2, 3, 3, 3), 2, 4, 3, 4), 1, lines.append)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["forward_fit.json", "forward_fit.png"]


def test_a_seed_gives_the_same_numbers(tmp_path):
    a, b = (forward_fit(tmp_path / name, TINY, 1, lambda _: None) for name in "ab")
    assert a["runs"] == b["runs"]


def test_training_makes_the_error_smaller(tmp_path):
    little = ForwardFitSettings(40, 20, (2, 3, 3, 3), 2, 8, 1, 16)
    much = ForwardFitSettings(40, 20, (2, 3, 3, 3), 2, 8, 40, 16)
    before, after = (forward_fit(tmp_path / str(s.epochs), s, 1, lambda _: None) for s in (little, much))
    for run in ("static-0", "dynamic-0"):
        assert sum(after["runs"][run]["mse"]) < 0.7 * sum(before["runs"][run]["mse"])


def test_the_summary_by_hand():
    errors = {"static": ([1.0, 4.0], [3.0, 8.0]), "dynamic": ([1.0, 1.0], [1.0, 2.0])}
    runs = {f"{n}-{i}": {"model": n, "mse": mse} for n, both in errors.items() for i, mse in enumerate(both)}
    found = summarise(runs)
    assert found["static"] == {
        "mean": [2.0, 6.0],
        "deviation": [pytest.approx(2**0.5), pytest.approx(8**0.5)],
    }
    assert found["static_over_dynamic"] == [2.0, 4.0]


def test_the_command(tmp_path):
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
    result = CliRunner().invoke(_app(), ["experiment", "forward-fit", *arguments])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["summary"]["dynamic"]["mean"]
    assert CliRunner().invoke(_app(), ["experiment", "forward-fit", "--train", "0"]).exit_code == 2


def test_damaged_results_are_an_error(tmp_path):
    (tmp_path / "forward_fit.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot read earlier results"):
        forward_fit(tmp_path, TINY, 1, lambda _: None)
