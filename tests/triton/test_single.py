"""The single-edge kernels against the naive formula in float64: sums and all gradients, at odd sizes."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.triton.cases import DEVICE, REFERENCE, Operands, operands, relative
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton.message import TritonMessage

TOLERANCES = {"ieee": 2e-6, "tf32x3": 2e-6, "tf32": 1e-3, "bf16": 2e-2}
"""Of each mode, relative, on the sizes of these tests; the first two are what 'exact' means in float32."""


def check(drawn: Operands, precision: str = "ieee", tolerance: float | None = None) -> None:
    exact = drawn.exact()
    upstream = torch.randn(exact.run(REFERENCE).shape)
    expected = exact.results(REFERENCE, upstream)
    got = drawn.results(TritonMessage(precision), upstream)
    for found, wanted in zip(got, expected, strict=True):
        assert torch.isfinite(found).all()
        assert relative(found, wanted) <= (tolerance or TOLERANCES[precision])


@pytest.mark.parametrize(
    ("batch", "wiring", "width"),
    [
        (1, DenseWiring(1, 1, 1), 1),
        (2, DenseWiring(1, 17, 5), 7),
        (1, DenseWiring(3, 5, 33), 20),
        (1, DenseWiring(1, 2, 35), 37),
    ],
)
def test_sums_and_gradients_at_odd_sizes(batch: int, wiring: DenseWiring, width: int) -> None:
    torch.manual_seed(0)
    check(operands(wiring, 0.05 * torch.randn(batch, *wiring.shape, 1), width))


@pytest.mark.parametrize("precision", TOLERANCES)
def test_every_precision(precision: str) -> None:
    torch.manual_seed(0)
    check(operands(DenseWiring(1, 9, 13), 0.05 * torch.randn(1, 1, 9, 13, 1), 6), precision)


def test_precisions_differ_as_they_should() -> None:
    torch.manual_seed(0)
    drawn = operands(DenseWiring(1, 9, 13), 0.05 * torch.randn(1, 1, 9, 13, 1), 6)
    expected = drawn.exact().run(REFERENCE)
    errors = [relative(drawn.run(TritonMessage(p)), expected) for p in ("tf32x3", "tf32", "bf16")]
    for finer, coarser in pairwise(errors):
        assert coarser > 3 * finer


@pytest.mark.parametrize("kind", ["outlier", "far from zero", "enormous", "zero", "heavy"])
def test_weights_outside_the_interval_are_exact(kind: str) -> None:
    torch.manual_seed(0)
    w = 0.05 * torch.randn(1, 1, 19, 21, 1)
    w = {
        "outlier": w.index_fill(3, torch.tensor([4]), 30.0),
        "far from zero": 20 + w,
        "enormous": 1e30 * w,
        "zero": 0 * w,
        "heavy": w / torch.rand_like(w).clamp(min=1e-2),
    }[kind]
    drawn = operands(DenseWiring(1, 19, 21), w, 6)
    if kind == "enormous":  # no digit of these phases means anything: only that results are finite
        assert all(
            torch.isfinite(x).all() for x in drawn.results(TritonMessage("ieee"), torch.ones(1, 19, 6))
        )
        return
    # float32 rounds the phase of a weight of 30 to 2e-5 of a turn, in the naive formula too.
    check(drawn, tolerance=2e-6 if kind == "zero" else 1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_read_as_stored(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    stored = (0.05 * torch.randn(1, 1, 5, 18, 1)).to(dtype)
    drawn = operands(DenseWiring(1, 5, 18), stored, 6)
    upstream = torch.randn(1, 5, 6)
    expected = drawn.exact().results(REFERENCE, upstream)
    got = drawn.results(TritonMessage("ieee"), upstream)
    assert got[1].dtype == dtype
    for place, (found, wanted) in enumerate(zip(got, expected, strict=True)):
        assert relative(found, wanted) <= (torch.finfo(dtype).eps if place == 1 else 2e-6)


def test_views_of_weights_need_no_copy() -> None:
    torch.manual_seed(0)
    stored = 0.05 * torch.randn(18, 5, device=DEVICE)
    transposed = stored.t()[None, None, :, :, None]
    sliced = (0.05 * torch.randn(7, 40, device=DEVICE))[None, None, 1:6, 2::2, None][..., :18, :]
    for view in (transposed, sliced):
        assert not view.is_contiguous()
        drawn = operands(DenseWiring(1, 5, 18), view.contiguous(), 6)
        whole = drawn.run(TritonMessage("ieee"))
        torch.testing.assert_close(drawn._replace(weights=view).run(TritonMessage("ieee")), whole)


def test_shared_sources_and_empty_blocks() -> None:
    torch.manual_seed(0)
    wiring = DenseWiring(1, 3, 4)
    drawn = operands(wiring, 0.05 * torch.randn(2, 1, 3, 4, 1), 6)
    weight, bias, sources = drawn.parameters
    drawn = drawn._replace(parameters=(weight, bias, sources[:1]))
    assert relative(drawn.run(TritonMessage("ieee")), drawn.exact().run(REFERENCE)) <= 2e-6
    for empty in (DenseWiring(1, 0, 4), DenseWiring(1, 3, 0)):
        nothing = operands(empty, torch.zeros(2, *empty.shape, 1), 6)
        assert torch.equal(nothing.run(TritonMessage()), torch.zeros(2, empty.n_dst, 6, device=DEVICE))


def test_the_ladder_reaches_as_far_as_it_says() -> None:
    from wsgraph_encoders.fourier import ScalarMap
    from wsgraph_encoders.triton.ladder import expand, ladder, rungs

    torch.manual_seed(0)
    frequencies = 3 * torch.randn(40)
    g = ScalarMap(frequencies, torch.randn(5, 80), torch.randn(5))
    scale = ladder(frequencies)
    coefficients = expand(g, scale).coefficients.double()
    for rung, (phase, terms) in enumerate(rungs()):
        start = int(scale.rows[rung, 0])
        assert int(scale.rows[rung, 1]) == terms
        half = 1 / scale.inverse[rung].double()
        assert abs(half * 2 * torch.pi * frequencies.abs().max().double() / phase - 1) < 1e-6
        x = torch.linspace(-1, 1, 301, dtype=torch.float64)
        polynomials = torch.cos(torch.arange(terms) * torch.acos(x).unsqueeze(1))
        exact = ScalarMap(frequencies.double(), g.weight.double(), g.bias.double())(half * x)
        assert relative(polynomials @ coefficients[start : start + terms], exact) < 2e-6


def test_ladders_follow_changed_frequencies() -> None:
    message = TritonMessage("ieee")
    b = torch.ones(3, device=DEVICE)
    before = message.ladder(b).inverse.clone()
    assert message.ladder(b[None][0]) is message.ladder(b)
    b.mul_(2)
    after: Tensor = message.ladder(b).inverse
    torch.testing.assert_close(after, 2 * before)
