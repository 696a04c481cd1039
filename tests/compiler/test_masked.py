"""Masked weights: what a mask takes away is an edge of weight zero, and the proof knows."""

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
