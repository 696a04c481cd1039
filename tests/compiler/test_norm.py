"""Normalisations: nodes with the shift, one-to-one edges with the scale."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, param

Prove = Callable[..., wsgraph.EventStream]

NORMS = [
    (nn.BatchNorm2d(6), {"bias", "running_mean", "running_var"}, "one_to_one 6x1 1.weight"),
    (nn.BatchNorm2d(6, affine=False), {"running_mean", "running_var"}, "one_to_one 6x1 learned identity"),
    (nn.BatchNorm2d(6, track_running_stats=False), {"bias"}, "one_to_one 6x1 1.weight"),
    (nn.GroupNorm(3, 6), {"bias"}, "one_to_one 6x1 1.weight"),
    (nn.InstanceNorm2d(6, affine=True), {"bias"}, "one_to_one 6x1 1.weight"),
    (
        nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
        {"bias", "running_mean", "running_var"},
        "one_to_one 6x1 1.weight",
    ),
]


def name(value: object) -> str:
    """A test's name, the same in every process: sets print in any order."""
    return " ".join(sorted(value)) if isinstance(value, set) else str(value)[:40]


@pytest.mark.parametrize(("norm", "features", "edge"), NORMS, ids=name)
def test_a_norm_of_channels(prove: Prove, norm: nn.Module, features: set[str], edge: str) -> None:
    stream = prove(nn.Sequential(nn.Conv2d(3, 6, 1), norm, nn.Conv2d(6, 2, 1)), "1x3x4x4")
    assert nodes(stream) == ["n0 t0 input 3", "n1 t1 hidden 6", "n2 t1 hidden 6", "n3 t2 output 2"]
    assert edges(stream)[1] == f"n1 -> n2 {edge}"
    assert set(stream.node_blocks[2].features) == features


@pytest.mark.parametrize(
    ("norm", "features"), [(nn.LayerNorm(6), {"bias"}), (nn.RMSNorm(6), set())], ids=name
)
def test_a_norm_of_tokens(prove: Prove, norm: nn.Module, features: set[str]) -> None:
    stream = prove(nn.Sequential(nn.Linear(3, 6), norm, nn.Linear(6, 2)), "1x4x3")
    assert edges(stream)[1] == "n1 -> n2 one_to_one 6x1 1.weight"
    assert set(stream.node_blocks[2].features) == features
    assert stream.num_timestamps == 2


def test_batch_norm_of_vectors(prove: Prove) -> None:
    stream = prove(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), "1x3")
    block = stream.node_blocks[2]
    assert block.attrs["eps"] == 1e-5
    assert torch.equal(stream.feature(block.features["running_var"]), torch.ones(4))
    ledger = stream.ledger()
    # Running statistics are lowered too; only the batch counter is a mere constant.
    assert ledger.total("lowered", "buffer") == 8
    assert ledger.total("constant", "buffer") == 1


def test_layer_norm_over_a_feature_map_makes_neuron_site_pairs(prove: Prove) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm([4, 3, 3]), nn.Conv2d(4, 2, 1))
    stream = prove(model, "1x3x3x3")
    assert nodes(stream)[2] == "n2 t1 hidden 36"
    assert edges(stream)[2] == "n2 -> n3 grouped 4x1x9x1 learned reduce"


def test_layer_norm_across_a_permutation(prove: Prove) -> None:
    def channels_last(s: Net, x: Tensor) -> Any:
        return s.o(s.n(s.c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))

    model = Net(channels_last, c=nn.Conv2d(3, 6, 1), n=nn.LayerNorm(6), o=nn.Conv2d(6, 2, 1))
    assert edges(prove(model, "1x3x4x4"))[1] == "n1 -> n2 one_to_one 6x1 n.weight"


def test_a_norm_written_out(prove: Prove) -> None:
    def rms(s: Net, x: Tensor) -> Any:
        h = s.a(x)
        return s.o(s.w * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)))

    stream = prove(Net(rms, a=nn.Linear(3, 6), w=param(6), o=nn.Linear(6, 2)), "1x4x3")
    assert "n1 -> n2 dense 1x6x1 learned reduce" in edges(stream)
    assert "n3 -> n4 one_to_one 6x1 w" in edges(stream)


def test_effective_affine_of_a_norm_is_in_the_features(prove: Prove) -> None:
    norm = nn.BatchNorm1d(4)
    assert norm.running_mean is not None
    norm.running_mean.copy_(torch.arange(4.0))
    with torch.no_grad():
        norm.weight.copy_(torch.randn(4))
        norm.bias.copy_(torch.randn(4))
    model = nn.Sequential(nn.Linear(3, 4), norm).eval()
    stream = prove(model, "1x3")
    block, edge = stream.node_blocks[2], stream.edge_blocks[1]
    mean, var, bias = (stream.feature(block.features[n]) for n in ("running_mean", "running_var", "bias"))
    scale = stream.feature(edge.feature)[:, 0]  # type: ignore[arg-type]  # a parameter view
    x = torch.randn(1, 3)
    hidden = model[0](x)
    expected = (hidden - mean) / (var + block.attrs["eps"]).sqrt() * scale + bias  # type: ignore[operator]  # a float
    assert torch.allclose(model(x), expected, atol=1e-6)
