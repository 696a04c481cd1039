"""Weights computed with constants that the state dict does not have."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, param, roles

Prove = Callable[..., wsgraph.EventStream]


def scaled(dtype: torch.dtype, values: Any) -> Net:
    """A linear layer whose weight is multiplied by a buffer that is not saved."""
    model = Net(lambda s, x: F.linear(x, s.w * s.factors), w=param(4, 3))
    model.register_buffer("factors", torch.tensor(values, dtype=dtype), persistent=False)
    return model


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.int32, torch.bool]
)
def test_a_constant_is_kept_with_the_graph(prove: Prove, dtype: torch.dtype, tmp_path: Any) -> None:
    model = scaled(dtype, [1, 0, 3])
    stream = prove(model, "1x3")
    stream.save(tmp_path / "x.wsg")
    loaded = wsgraph.load(tmp_path / "x.wsg")
    expected = (model.w * model.factors).detach()
    assert torch.equal(loaded.feature(loaded.edge_blocks[0].feature).squeeze(-1), expected)  # type: ignore[arg-type]  # a view


def test_other_weights_use_the_same_constant(prove: Prove) -> None:
    model, other = (scaled(torch.float32, [0.1, 0.2, 0.3]) for _ in range(2))
    bound = prove(model, "1x3").bind(other.state_dict())
    expected = (other.w * other.factors).detach()
    assert torch.equal(bound.feature(bound.edge_blocks[0].feature).squeeze(-1), expected)  # type: ignore[arg-type]  # a view


def test_the_fingerprint_tells_constants_apart() -> None:
    first, second = (wsgraph.compile(scaled(torch.float32, [1, 2, k]), "1x3") for k in (3, 4))
    assert first.fingerprint != second.fingerprint


def test_a_mask_that_the_forward_writes_slice_by_slice(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        mask = torch.zeros(4, 3)
        mask[1:3, :2] = 2.0
        return F.linear(x, s.w + mask)

    model = Net(forward, w=param(4, 3))
    stream = prove(model, "1x3")
    expected = model.w.detach().clone()
    expected[1:3, :2] += 2
    assert torch.equal(stream.feature(stream.edge_blocks[0].feature).squeeze(-1), expected)  # type: ignore[arg-type]  # a view


MATRIX = torch.linspace(-1, 1, 20).view(4, 5)
PRODUCTS: dict[str, Callable[[Tensor], Tensor]] = {
    "matmul": lambda h: h @ MATRIX,
    "linear": lambda h: F.linear(h, MATRIX.T.contiguous()),
    "einsum": lambda h: torch.einsum("blc,cd->bld", h, MATRIX),
    "from the left": lambda h: (MATRIX.T @ h.transpose(1, 2)).transpose(1, 2),
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_a_constant_matrix_over_neurons_is_a_layer(prove: Prove, product: Callable[[Tensor], Tensor]) -> None:
    """Random Fourier features: neurons of their own, with weights that no checkpoint changes."""
    model = Net(lambda s, x: s.b(product(s.a(x)).sin()), a=nn.Linear(3, 4), b=nn.Linear(5, 2))
    stream = prove(model, "1x6x3")
    assert roles(stream)[1:] == [(1, "hidden", 4), (2, "hidden", 5), (3, "output", 2)]
    weight = stream.feature(stream.edge_blocks[1].feature).squeeze(-1)  # type: ignore[arg-type]  # a view
    assert torch.allclose(weight, MATRIX.T)
    assert stream.ledger().total("derived") == 0
    assert wsgraph.verify(stream, model, "1x6x3").ok


def test_a_constant_matrix_over_positions_mixes_them(prove: Prove) -> None:
    model = Net(lambda s, x: s.b(MATRIX.T @ s.a(x)), a=nn.Linear(3, 6), b=nn.Linear(6, 2))
    assert edges(prove(model, "1x4x3")) == ["n0 -> n1 dense 6x3x1 a.weight", "n1 -> n2 dense 2x6x1 b.weight"]


def test_a_state_of_zeros_before_the_first_step_adds_nothing(prove: Prove) -> None:
    """MiniMax's lightning attention: the first block's queries meet a memory that is empty."""
    model = Net(lambda s, x: s.b(s.a(x) @ torch.zeros(4, 4) + s.c(x)), **{n: nn.Linear(3, 4) for n in "ac"})
    model.b = nn.Linear(4, 2)
    stream = prove(model, "1x3")
    assert [line for line in edges(stream) if "n1 ->" in line] == []
    assert edges(stream)[-1] == "n2 -> n3 dense 2x4x1 b.weight"
