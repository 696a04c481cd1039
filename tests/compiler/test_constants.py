"""Weights computed with constants that the state dict does not have."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

import wsgraph
from tests.compiler.nets import Net, param

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
