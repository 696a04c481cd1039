"""Masked weights: what a mask takes away is an edge of weight zero, and the proof knows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import nn
from torch.nn.utils import prune

import wsgraph
from wsgraph.testing import assert_wiring


class Autoregressive(nn.Module):
    """A layer whose output i sees inputs up to i only, as in MADE."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)))

    def forward(self, x):
        return F.linear(x, self.layer.weight * self.mask, self.layer.bias)


def test_a_masked_layer_is_wired_and_verifies():
    torch.manual_seed(0)
    model, x = Autoregressive(), torch.randn(2, 6)
    assert_wiring(model, x, samples=36)
    assert wsgraph.verify(wsgraph.compile(model, x), model, x).ok


def test_a_pruned_network_verifies():
    torch.manual_seed(0)
    first = prune.l1_unstructured(nn.Linear(6, 5), "weight", 0.5)
    model, x = nn.Sequential(first, nn.ReLU(), nn.Linear(5, 2)), torch.randn(2, 6)
    assert_wiring(model, x, samples=30)
    assert wsgraph.verify(wsgraph.compile(model, x), model, x).ok


class Choosing(nn.Module):
    """Two layers' neurons, chosen by a mask that is no parameter."""

    def __init__(self, mask, sites):
        super().__init__()
        self.first, self.second = (nn.Conv1d(2, 6, 1) if sites else nn.Linear(4, 6) for _ in range(2))
        self.out = nn.Conv1d(6, 3, 1) if sites else nn.Linear(6, 3)
        self.mask = mask

    def forward(self, x):
        return self.out(torch.where(self.mask, self.first(x), self.second(x).relu()))


@pytest.mark.parametrize(
    "mask", [torch.tensor([True, True, False, True, False, False]), torch.tensor([True]), torch.tensor(False)]
)
def test_a_known_mask_leaves_each_place_one_neuron(mask):
    torch.manual_seed(0)
    model, x = Choosing(mask, sites=False), torch.randn(2, 4)
    assert_wiring(model, x, samples=36)
    stream = wsgraph.compile(model, x)
    (last,) = [e for e in stream.edge_blocks if e.attrs.get("scope") == "out"]
    assert last.src.size == 6
    assert [n.attrs["role"] for n in stream.node_blocks] == ["input", "hidden", "hidden", "output"]
    assert wsgraph.verify(stream, model, x).ok


def test_a_known_mask_over_channels_and_positions():
    torch.manual_seed(0)
    mask = (torch.arange(6)[:, None] + torch.arange(5)) % 2 == 0
    model, x = Choosing(mask, sites=True), torch.randn(2, 2, 5)
    assert_wiring(model, x, samples=36)
    assert wsgraph.verify(wsgraph.compile(model, x), model, x).ok


def test_radial_basis_functions_are_told_apart_by_their_centres():
    """The units of a layer that scales each distance by a number of its own are not interchangeable alone."""

    class Radial(nn.Module):
        def __init__(self):
            super().__init__()
            self.centres, self.widths = nn.Parameter(torch.randn(5, 6)), nn.Parameter(torch.ones(5))
            self.out = nn.Linear(5, 3)

        def forward(self, x):
            distance = (x[:, None] - self.centres).pow(2).sum(-1)
            return self.out(torch.exp(-distance * self.widths))

    torch.manual_seed(0)
    model, x = Radial(), torch.randn(2, 6)
    assert wsgraph.verify(wsgraph.compile(model, x), model, x).ok
