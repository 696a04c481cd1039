"""The multi-edge kernels against the naive formula in float64: sums and all gradients, at odd sizes."""

import pytest
import torch

from tests.triton.cases import DEVICE, REFERENCE, Operands, operands, relative
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton.message import TritonMessage


def check(drawn: Operands, precision: str = "ieee", tolerance: float = 5e-6) -> None:
    exact = drawn.exact()
    upstream = torch.randn(exact.run(REFERENCE).shape)
    expected = exact.results(REFERENCE, upstream)
    got = drawn.results(TritonMessage(precision), upstream)
    for found, wanted in zip(got, expected, strict=True):
        assert torch.isfinite(found).all()
        assert relative(found, wanted) <= tolerance


@pytest.mark.parametrize(
    ("batch", "wiring", "m", "e", "width"),
    [
        (1, DenseWiring(1, 1, 1), 2, 1, 1),
        (2, DenseWiring(1, 17, 1), 2, 5, 7),
        (1, DenseWiring(2, 3, 2), 3, 17, 35),
    ],
)
def test_sums_and_gradients_at_odd_sizes(batch: int, wiring: DenseWiring, m: int, e: int, width: int) -> None:
    torch.manual_seed(0)
    check(operands(wiring, 0.05 * torch.randn(batch, *wiring.shape, m), width, e=e))


@pytest.mark.parametrize(("precision", "tolerance"), [("tf32x3", 5e-6), ("tf32", 2e-3), ("bf16", 3e-2)])
def test_every_precision(precision: str, tolerance: float) -> None:
    torch.manual_seed(0)
    check(operands(DenseWiring(1, 4, 3), 0.05 * torch.randn(1, 1, 4, 3, 2), 6, e=5), precision, tolerance)


def test_weights_outside_the_interval_are_exact() -> None:
    torch.manual_seed(0)
    w = (0.05 * torch.randn(1, 1, 5, 3, 2)).index_fill(2, torch.tensor([4]), 30.0)
    # float32 rounds the phase of a weight of 30 to 2e-5 of a turn, in the naive formula too.
    check(operands(DenseWiring(1, 5, 3), w, 6, frequencies=18, e=5), tolerance=1e-4)


@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_are_read_as_stored(transposed: bool) -> None:
    torch.manual_seed(0)
    stored = (0.05 * torch.randn(3, 5, 4, device=DEVICE)).to(torch.bfloat16)
    view = (stored.transpose(0, 1) if transposed else stored)[None, None]
    drawn = operands(DenseWiring(1, *view.shape[2:4]), view.contiguous(), 6, e=5)
    got = drawn._replace(weights=view).run(TritonMessage("ieee"))
    assert relative(got, drawn.exact().run(REFERENCE)) <= 5e-6


def test_empty_blocks() -> None:
    for empty in (DenseWiring(1, 0, 4), DenseWiring(1, 3, 0)):
        nothing = operands(empty, torch.zeros(2, *empty.shape, 2), 6, e=5)
        assert torch.equal(nothing.run(TritonMessage()), torch.zeros(2, empty.n_dst, 6, device=DEVICE))
