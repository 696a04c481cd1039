"""The expansion of Fourier features in harmonics, against NumPy, and what it costs in digits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.encoders.networks import stream
from wsgraph_encoders import DNGConfig, DNGEncoder, collate
from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages import harmonics as module
from wsgraph_encoders.messages import message_function
from wsgraph_encoders.messages.basis import FourierBasis, HarmonicBasis
from wsgraph_encoders.messages.harmonics import frequency_key, harmonics, harmonics_of
from wsgraph_encoders.messages.interval import choose_basis
from wsgraph_encoders.messages.wiring import DenseWiring, PairWiring


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(4, 128), scale=st.floats(0.01, 10), half=st.floats(1e-6, 1), seed=st.integers(0, 10**6)
)
def test_features_are_combinations_of_the_harmonics(count, scale, half, seed):
    b = scale * np.random.default_rng(seed).normal(size=count)
    found = harmonics(frequency_key(torch.from_numpy(b)), half, 4e-7)
    freedom = 2 * 2 * half * np.abs(b).max()  # 2c/π with c = 2πbh
    if found is None:
        assert freedom + 24 > 2 * count, "there was something to save"
        return
    assert 2 * found.count <= 1.5 * freedom + 24
    x = np.linspace(-half, half, 501)[:, None]
    inner = found.step * np.arange(1, found.count + 1)
    given_ = np.concatenate([np.ones_like(x), np.sin(inner * x), np.cos(inner * x)], 1)
    wanted = np.concatenate([np.ones_like(x), np.sin(2 * math.pi * b * x), np.cos(2 * math.pi * b * x)], 1)
    matrix = found.matrix.numpy()
    error = np.sqrt(np.square(given_ @ matrix - wanted).sum(1).max() / count)
    assert error < 6e-7
    assert np.sqrt(np.square(np.abs(matrix).sum(0)).mean()) <= 8, "rounding errors would grow"


def test_few_frequencies_over_a_wide_interval_stay_as_they_are():
    b = torch.tensor([1.0, 2.5, 7.0])
    assert harmonics(frequency_key(b), 2.0, 4e-7) is None
    assert isinstance(choose_basis(torch.linspace(-2, 2, 100), b), FourierBasis)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 29, 64])
def test_harmonics_by_rotation_are_sines_and_cosines(monkeypatch, count):
    x, omega = torch.linspace(-3, 3, 60).reshape(5, 12), torch.arange(1.0, count + 1).unsqueeze(1)
    exact = x.double().unsqueeze(1) * omega
    exact = torch.cat([exact.sin(), exact.cos()], 1)
    for few in (0, 1 << 20):
        monkeypatch.setattr(module, "_FEW", few)
        error = (harmonics_of(x, omega).double() - exact).abs().max()
        assert error < 4e-7 * count, "as many roundings as the phase itself has"


def test_weights_of_deviation_one_take_fewer_terms_than_features():
    torch.manual_seed(0)
    basis = choose_basis(torch.randn(64, 64), 3 * torch.randn(128))
    assert isinstance(basis, HarmonicBasis)
    assert basis.terms < 192


@pytest.mark.parametrize("deviation", [0.02, 0.2, 1.0, 3.0])
def test_spectral_messages_are_no_further_from_float64_than_the_references(deviation):
    """Where float32 itself loses digits (phases of 100 radians), both lose them."""
    torch.manual_seed(0)
    wiring, frequencies = DenseWiring(1, 48, 64), 3 * torch.randn(128)
    operands = [0.1 * torch.randn(16, 256), torch.randn(16)]
    weights, sources = deviation * torch.randn(2, 1, 48, 64, 1), torch.randn(2, 64, 16)
    exact = message_function("reference").single(
        wiring, weights.double(), sources.double(), ScalarMap(*(x.double() for x in (frequencies, *operands)))
    )
    errors = {}
    for name in ("reference", "spectral"):
        got = message_function(name).single(wiring, weights, sources, ScalarMap(frequencies, *operands))
        errors[name] = float((got.double() - exact).norm() / exact.norm())
    assert errors["spectral"] < max(1e-6, 1.5 * errors["reference"])
    assert errors["spectral"] < 1e-5


def test_embeddings_of_a_transformer_are_no_further_from_float64_than_the_references():
    """Layer norms amplify rounding, of either message function alike; over seeds neither is better."""
    errors = {"reference": [], "spectral": []}
    s = stream("vit")
    wide = s.bind({n: t.double() if t.is_floating_point() else t for n, t in s.state_dict().items()})
    for seed in range(4):
        torch.manual_seed(seed)
        model = DNGEncoder(DNGConfig(hidden=32).for_stream(s))
        for name, found in errors.items():
            model.message = message_function(name)
            found.append(model(collate([s])).embedding.detach())
        model.message = message_function("reference")
        exact = model.double()(collate([wide])).embedding.detach()
        for found in errors.values():
            found[-1] = float((found[-1].double() - exact).norm() / exact.norm())
    assert max(errors["spectral"]) < 1e-4
    means = {name: math.exp(sum(map(math.log, found)) / len(found)) for name, found in errors.items()}
    assert means["spectral"] < 3 * means["reference"]


def test_aligned_pairs_are_a_list_of_pairs():
    torch.manual_seed(0)
    every, spectral = torch.arange(40), message_function("spectral")
    one_to_one, listed = PairWiring(40, every, every), PairWiring(40, every, every.clone())
    assert one_to_one.aligned
    assert not listed.aligned
    weights, sources, g = (
        torch.randn(2, 40, 1),
        torch.randn(2, 40, 6),
        (3 * torch.randn(8), torch.randn(6, 16)),
    )
    edge = ScalarMap(*g, torch.randn(6))
    for w in (weights, torch.ones_like(weights)):
        got, expected = (spectral.single(wiring, w, sources, edge) for wiring in (one_to_one, listed))
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    value = torch.randn(6)
    node = nn.Linear(6, 6)
    got, expected = (spectral.constant(wiring, value, sources, node) for wiring in (one_to_one, listed))
    assert torch.equal(got, expected)
