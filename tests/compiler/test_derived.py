"""Weights that the model computes are folded into derived tensors that name their sources."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

import wsgraph
from tests.compiler.nets import Net, edges, param
from wsgraph.errors import UnsupportedOperatorError

Prove = Callable[..., wsgraph.EventStream]


def feature_of(stream: wsgraph.EventStream, edge: int) -> Tensor:
    return stream.feature(stream.edge_blocks[edge].feature)  # type: ignore[arg-type]  # a parameter view


def first_weight(model: nn.Sequential) -> Tensor:
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach()


def test_weight_norm(prove: Prove) -> None:
    model = nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2))
    stream = prove(model, "1x3")
    derived = next(iter(stream.structure.derived.values()))
    assert set(derived.sources) == {
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
    }
    assert torch.allclose(feature_of(stream, 0).squeeze(-1), first_weight(model))
    assert stream.ledger().total("derived") == 4 + 12


def test_another_checkpoint_gives_another_derived_weight(prove: Prove) -> None:
    model, other = (nn.Sequential(weight_norm(nn.Linear(3, 4))) for _ in range(2))
    stream = prove(model, "1x3").bind(other.state_dict())
    assert torch.allclose(feature_of(stream, 0).squeeze(-1), first_weight(other))


def test_spectral_norm_in_evaluation_mode(prove: Prove) -> None:
    model = nn.Sequential(spectral_norm(nn.Linear(3, 4)), nn.Linear(4, 2)).eval()
    assert torch.allclose(feature_of(prove(model, "1x3"), 0).squeeze(-1), first_weight(model))


class Standardised(nn.Conv2d):
    """Weight standardisation, as big-transfer ResNets have it."""

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        weight = (self.weight - mean) / (std + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def test_weight_standardisation(prove: Prove) -> None:
    stream = prove(
        nn.Sequential(Standardised(3, 4, 3), nn.ReLU(), Standardised(4, 4, 3, groups=2)), "1x3x8x8"
    )
    assert [e.pattern for e in stream.edge_blocks] == ["dense", "grouped"]
    first = feature_of(stream, 0)
    assert torch.allclose(first.flatten(1).mean(1), torch.zeros(4), atol=1e-5)
    assert torch.allclose(first.flatten(1).std(1), torch.ones(4), atol=1e-3)


def test_standardisation_through_batch_norm_reads_no_statistics(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        flat = s.w.reshape(1, 4, -1)
        weight = F.batch_norm(flat, None, None, weight=s.g, training=True, momentum=0.0, eps=1e-6)
        return F.conv2d(x, weight.reshape_as(s.w))

    stream = prove(Net(forward, w=param(4, 3, 3, 3), g=param(4)), "1x3x6x6")
    assert stream.ledger().total("derived") == 108 + 4


def test_a_weight_that_is_a_product(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: F.linear(x, s.b @ s.a), a=param(2, 4), b=param(5, 2)), "1x4")
    assert edges(stream) == ["n0 -> n1 dense 5x4x1 __wsgraph__.derived.0"]


def test_a_part_of_a_computed_weight(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: F.linear(x, (s.w * 2)[1:4]), w=param(5, 4)), "1x4")
    assert stream.edge_blocks[0].shape == (3, 4, 1)


def test_slices_and_transposes_of_a_weight_are_views(prove: Prove) -> None:
    model = Net(lambda s, x: F.linear(F.linear(x, s.w[:4]), s.w[4:].t()), w=param(8, 4))
    stream = prove(model, "1x4")
    assert stream.structure.derived == {}
    assert edges(stream) == ["n0 -> n1 dense 4x4x1 w", "n1 -> n2 dense 4x4x1 w"]
    assert stream.ledger().total("lowered") == 32


def test_a_mask_moved_to_a_device_on_the_way_to_a_weight(prove: Prove) -> None:
    """Positions counted over a mask, as DETR and EdgeNeXt embed them."""

    def forward(s: Net, x: Tensor) -> Tensor:
        mask = torch.zeros(1, 3, 5).to(device=x.device, dtype=torch.bool)
        out: Tensor = s.b(s.a(x) + s.p((~mask).cumsum(2, dtype=torch.float32)))
        return out

    convs = {"a": nn.Conv1d(3, 4, 1), "p": nn.Conv1d(3, 4, 1), "b": nn.Conv1d(4, 2, 1)}
    model = Net(forward, **convs)
    stream = prove(model, "1x3x5")
    (name,) = stream.structure.derived
    positions = torch.arange(1.0, 6).expand(1, 3, 5)
    assert torch.allclose(stream._tensor(name), model.p(positions), atol=1e-6)


@pytest.mark.parametrize("by", ["matrix_exp", "cayley", "householder"])
def test_an_orthogonal_weight(by: str) -> None:
    model = nn.Sequential(orthogonal(nn.Linear(4, 4), orthogonal_map=by), nn.Linear(4, 2))
    assert torch.allclose(
        feature_of(wsgraph.compile(model, "1x4"), 0).squeeze(-1), first_weight(model), atol=1e-6
    )


def skew(w: Tensor) -> Tensor:
    return w - w.T


WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "diag": lambda w, v: torch.diag(v) @ w,
    "diag_embed": lambda w, v: torch.diag_embed(v) + w,
    "triangles": lambda w, v: torch.tril(w) * v + torch.triu(w, 1),
    "outer": lambda w, v: w + torch.outer(v, v),
    "kron": lambda w, v: torch.kron(w[:2, :2], w[2:, 2:]) * v,
    "block_diag": lambda w, v: torch.block_diag(w[:2, :2], w[2:, 2:]) + v,
    "moved": lambda w, v: w.cumsum(0).flip(1).roll(1, 0) + v,
    "cayley": lambda w, v: torch.linalg.solve(torch.eye(4) + skew(w), torch.eye(4) - skew(w)) * v,
    "householder": torch.linalg.householder_product,
    "vander": lambda w, v: torch.vander(v) + w,
    "svd": lambda w, v: torch.linalg.svd(w)[0] * v,
    "inverse": lambda w, v: torch.linalg.inv(w) + v,
    "cholesky": lambda w, v: torch.linalg.cholesky(w @ w.T + torch.eye(4)) * v,
    "circulant": lambda w, v: w + v[(torch.arange(4)[:, None] - torch.arange(4)) % 4],
    "fourier": lambda w, v: torch.fft.irfft(torch.fft.rfft(w), n=4) * v,
    "einsum": lambda w, v: torch.einsum("ij,jk,k->ik", w, w, v),
    "pruned": lambda w, v: w * (w.abs() >= w.abs().flatten().topk(8)[0].min()) * v,
}


@pytest.mark.parametrize("compute", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_ways_to_compute_a_weight(compute: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = Net(lambda s, x: F.linear(x, compute(s.w, s.v)), w=param(4, 4), v=param(4))
    stream = wsgraph.compile(model, "1x4")
    expected = compute(model.w, model.v).detach()
    assert torch.allclose(feature_of(stream, 0).squeeze(-1), expected, atol=1e-4)
    assert stream.ledger().total("derived") == 20


def test_a_weight_that_no_recipe_can_compute_is_refused_by_name() -> None:
    class Noisy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight * torch.bernoulli(torch.sigmoid(self.weight)), self.bias)

    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(Noisy(4, 2)))
    with pytest.raises(
        UnsupportedOperatorError, match=r"'aten\.bernoulli', at 1\.0, which is not on the list"
    ):
        wsgraph.compile(model, "1x3")
    stream = wsgraph.compile(model, "1x3", options=wsgraph.CompileOptions(unsupported="opaque"))
    assert any(n.attrs.get("opaque") for n in stream.node_blocks)
