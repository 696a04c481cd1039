"""Spectral messages against the naive ones, and those against sums written out by hand."""

from collections.abc import Callable
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from wsgraph_encoders.fourier import ScalarMap, fourier_features
from wsgraph_encoders.messages import Message, message_function, spectral
from wsgraph_encoders.messages.basis import FourierBasis, HarmonicBasis
from wsgraph_encoders.messages.interval import choose_basis
from wsgraph_encoders.messages.wiring import DenseWiring, PairWiring, Wiring

REFERENCE, SPECTRAL = message_function("reference"), message_function("spectral")

WEIGHTS: dict[str, Callable[[tuple[int, ...]], Tensor]] = {
    "normal": lambda shape: 0.1 * torch.randn(shape),
    "wide": lambda shape: 2 * torch.randn(shape),
    "tiny": lambda shape: 1e-12 * torch.randn(shape),
    "denormal": lambda shape: 1e-41 * torch.randn(shape),
    "zero": torch.zeros,
    "constant": lambda shape: torch.full(shape, 0.37),
    "heavy-tailed": lambda shape: 0.05 * torch.randn(shape) / torch.rand(shape).clamp(min=1e-3),
    "outliers": lambda shape: torch.where(
        torch.rand(shape) < 0.1, 1e3 * torch.randn(shape), 0.05 * torch.randn(shape)
    ),
    "far from zero": lambda shape: 1000 + 0.01 * torch.randn(shape),
    "enormous": lambda shape: 1e37 * torch.randn(shape),
}
WIRINGS: dict[str, Wiring] = {
    "dense": DenseWiring(1, 5, 7),
    "one": DenseWiring(1, 1, 1),
    "few destinations": DenseWiring(1, 2, 40),
    "many destinations": DenseWiring(1, 40, 3),
    "grouped": DenseWiring(3, 4, 5),
    "pairs": PairWiring(6, torch.tensor([0, 1, 2, 2, 0, 3]), torch.tensor([1, 1, 0, 4, 1, 5])),
    "no pairs": PairWiring(3, torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)),
}


class Case(NamedTuple):
    """The operands of a message, m of them parallel."""

    wiring: Wiring
    weights: Tensor
    frequencies: Tensor
    parameters: list[Tensor]

    def run(self, message: Message) -> Tensor:
        weight, bias, sources, *rest = self.parameters
        edge = ScalarMap(self.frequencies, weight, bias)
        if not rest:
            return message.single(self.wiring, self.weights, sources, edge)
        offset, first = rest
        return message.multi(self.wiring, self.weights, sources, offset, edge, first)

    def double(self) -> "Case":
        """The same numbers in float64."""
        parameters = [p.detach().double().requires_grad_() for p in self.parameters]
        weights = self.weights.detach().double().requires_grad_()
        return Case(self.wiring, weights, self.frequencies.double(), parameters)

    def gradients(self, message: Message, upstream: Tensor) -> tuple[Tensor, ...]:
        out = self.run(message)
        if not out.requires_grad:
            assert not out.numel() or not self.weights.numel(), "only a sum of nothing depends on nothing"
            return ()
        return torch.autograd.grad(out, [self.weights, *self.parameters], upstream, materialize_grads=True)


def case(wiring: Wiring, weights: str, m: int, batch: int = 2, dtype: torch.dtype = torch.float32) -> Case:
    n_src = wiring.groups * wiring.n_src if isinstance(wiring, DenseWiring) else 4
    c, e, count = 6, 5, 12
    shapes = [(c if m == 1 else e, 2 * count), (c if m == 1 else e,)]
    shapes += [(batch, n_src, c)] if m == 1 else [(batch, n_src, m, e), (batch, n_src, c), (m, e, c)]
    w = WEIGHTS[weights]((batch, *wiring.shape, m)).to(dtype)
    parameters = [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]
    return Case(wiring, w.requires_grad_(), 3 * torch.randn(count, dtype=dtype), parameters)


def assert_near(got: Tensor, expected: Tensor, tolerance: float) -> None:
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert torch.isfinite(got).all()
    assert (got.double() - expected.double()).norm() <= tolerance * expected.double().norm()


def assert_as_near(got: Tensor, expected: Tensor, exact: Tensor) -> None:
    """Within 1e-5 of what is expected, beyond how far that is from the float64 value itself."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert torch.isfinite(got).all()
    slack = 4 * (expected.double() - exact).norm()
    assert (got.double() - expected.double()).norm() <= 1e-5 * expected.double().norm() + slack


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("wiring", WIRINGS)
@settings(max_examples=15, deadline=None)
@given(weights=st.sampled_from(sorted(WEIGHTS)), batch=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_spectral_equals_reference(wiring: str, m: int, weights: str, batch: int, seed: int) -> None:
    """To 1e-5, or to where float32 has no digits left: gradients of one weight are sums that may cancel."""
    torch.manual_seed(seed)
    drawn = case(WIRINGS[wiring], weights, m, batch)
    exact = drawn.double()
    expected = drawn.run(REFERENCE)
    assert_as_near(drawn.run(SPECTRAL), expected, exact.run(REFERENCE))
    upstream = torch.randn_like(expected)
    found = drawn.gradients(SPECTRAL, upstream)
    gradients = drawn.gradients(REFERENCE, upstream) if found else ()
    exacts = exact.gradients(REFERENCE, upstream.double()) if found else ()
    for got, wanted, truth in zip(found, gradients, exacts, strict=True):
        assert_as_near(got, wanted, truth)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_computed_with_in_float32(dtype: torch.dtype, m: int) -> None:
    torch.manual_seed(0)
    exact = case(WIRINGS["dense"], "outliers", m)
    stored = exact.weights.detach().to(dtype)
    wide = exact._replace(weights=stored.float())
    assert_near(exact._replace(weights=stored).run(SPECTRAL), wide.run(REFERENCE), 1e-5)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("weights", ["normal", "outliers", "constant"])
def test_tiles_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, weights: str, m: int) -> None:
    torch.manual_seed(0)
    for wiring in ("few destinations", "grouped", "pairs"):
        drawn = case(WIRINGS[wiring], weights, m, dtype=torch.float64)
        expected = drawn.run(SPECTRAL)
        upstream = torch.randn_like(expected)
        gradients = drawn.gradients(SPECTRAL, upstream)
        for budget in (50, 1000):
            with monkeypatch.context() as patch:
                patch.setattr(spectral, "_BUDGET", budget)
                assert_near(drawn.run(SPECTRAL), expected, 1e-12)
                for got, wanted in zip(drawn.gradients(SPECTRAL, upstream), gradients, strict=True):
                    assert_near(got, wanted, 1e-12)


@pytest.mark.parametrize("m", [1, 2])
def test_gradients_are_those_of_finite_differences(m: int) -> None:
    torch.manual_seed(0)
    for wiring in (DenseWiring(2, 2, 2), WIRINGS["pairs"]):
        drawn = case(wiring, "normal", m, batch=1, dtype=torch.float64)

        def run(w: Tensor, *parameters: Tensor, drawn: Case = drawn) -> Tensor:
            return drawn._replace(weights=w, parameters=list(parameters)).run(SPECTRAL)

        assert torch.autograd.gradcheck(run, (drawn.weights, *drawn.parameters))


def test_the_reference_is_the_sum_of_equation_4() -> None:
    torch.manual_seed(0)
    drawn = case(DenseWiring(2, 2, 3), "normal", 1, batch=1, dtype=torch.float64)
    weight, bias, sources = drawn.parameters
    got = drawn.run(REFERENCE)
    for i in range(4):
        group = i // 2
        total = torch.zeros(6, dtype=torch.float64)
        for j in range(3):
            phase = 2 * torch.pi * drawn.frequencies * drawn.weights[0, group, i % 2, j, 0]
            feature = torch.cat([torch.sin(phase), torch.cos(phase)])
            total += (weight @ feature + bias) * sources[0, 3 * group + j]
        torch.testing.assert_close(got[0, i], total)


def test_the_reference_is_the_sum_of_equation_5() -> None:
    torch.manual_seed(0)
    drawn = case(WIRINGS["pairs"], "normal", 3, batch=1, dtype=torch.float64)
    weight, bias, heads, offset, first = drawn.parameters
    expected = torch.zeros(1, 6, 6, dtype=torch.float64)
    assert isinstance(drawn.wiring, PairWiring)
    for pair, (j, i) in enumerate(zip(drawn.wiring.src.tolist(), drawn.wiring.dst.tolist(), strict=True)):
        feature = fourier_features(drawn.weights[0, pair], drawn.frequencies)
        head = (feature @ weight.t() + bias) * heads[0, j]
        expected[0, i] += torch.relu(offset[0, j] + torch.einsum("ne,nec->c", head, first))
    torch.testing.assert_close(drawn.run(REFERENCE), expected)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_constant_and_evaluated_features(wiring: str) -> None:
    torch.manual_seed(0)
    drawn = case(WIRINGS[wiring], "normal", 1)
    value, sources = torch.randn(6), drawn.parameters[2]
    node = nn.Linear(6, 6)
    results = [m.constant(WIRINGS[wiring], value, sources, node) for m in (SPECTRAL, REFERENCE)]
    assert_near(results[0], results[1], 1e-5)
    edge = ScalarMap(drawn.frequencies, *drawn.parameters[:2])
    other = ScalarMap(drawn.frequencies, torch.randn_like(edge.weight), torch.randn_like(edge.bias))
    for kinds in (("normal",), ("constant",), ("outliers",), ("normal", "constant"), ("normal", "outliers")):
        for rows in (1, 9, 300):
            values = [WEIGHTS[kind]((2, rows)) for kind in kinds * 2]
            maps = [edge, other, other, edge][: len(values)]
            for after in (None, nn.Linear(6, 11)):
                got, want = (m.evaluate(values, maps, after) for m in (SPECTRAL, REFERENCE))
                for mine, exact in zip(got, want, strict=True):
                    assert_near(mine, exact, 1e-5)


def test_the_basis_fits_the_weights() -> None:
    torch.manual_seed(0)
    b = 3 * torch.randn(128)
    narrow, wide = (choose_basis(torch.linspace(-h, h, 1000), b) for h in (1 / 16, 1 / 4))
    assert isinstance(narrow, HarmonicBasis)
    assert isinstance(wide, HarmonicBasis)
    assert narrow.terms < wide.terms < 128
    few = choose_basis(torch.cat([0.01 * torch.randn(9999), torch.tensor([1e3])]), b)
    assert isinstance(few, HarmonicBasis)
    assert few.split
    assert few.terms < 30
    assert isinstance(choose_basis(1e3 * torch.randn(1000), b), FourierBasis)
