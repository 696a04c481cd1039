"""Convolutions whose filter the network computes from its input: hypernetworks, CondConv."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import wsgraph
from tests.compiler.nets import Net, checked, param, verified
from wsgraph.errors import LoweringError


class Hyper(nn.Module):
    """A filter, and perhaps a bias, from the mean of the input."""

    def __init__(self, n=1, channels=2, filters=4, kernel=3, groups=1, bias=False, **options):
        super().__init__()
        self.convolve = getattr(functional, f"conv{n}d")
        self.options = {"groups": groups, **options}
        self.shape = (filters, channels // groups, *[kernel] * n)
        self.first = getattr(nn, f"Conv{n}d")(2, channels, 1)
        self.filter = nn.Linear(channels, torch.Size(self.shape).numel())
        self.bias = nn.Linear(channels, filters) if bias else None
        self.norm = getattr(nn, f"BatchNorm{n}d")(filters)
        self.head = nn.Linear(filters, 3)

    def forward(self, x):
        x = self.first(x).relu()
        mean = x.flatten(2).mean(-1)
        bias = None if self.bias is None else self.bias(mean)[0]
        x = self.convolve(x, self.filter(mean).reshape(self.shape), bias, **self.options)
        return self.head(self.norm(x).relu().flatten(2).mean(-1))


@pytest.mark.parametrize(
    "options",
    [
        {"n": 1, "padding": 1},
        {"n": 3, "kernel": 2},
        {"n": 2, "kernel": 1},
        {"n": 2, "padding": "same", "dilation": 2},
        {"n": 2, "padding": "valid"},
        {"n": 2, "stride": 2, "padding": 1, "bias": True},
        {"n": 2, "channels": 4, "groups": 2, "padding": 1},
        {"n": 2, "channels": 4, "groups": 4, "kernel": 5, "padding": 2},
    ],
)
def test_every_filter_neuron_meets_its_channel_at_its_place(options):
    verified(Hyper(**options), torch.rand(1, 2, *[4] * options["n"]))


def test_a_network_without_a_batch():
    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.filter = nn.Conv2d(2, 3, 1), nn.Linear(3, 4 * 3 * 3 * 3)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x = self.first(x).relu()
            x = functional.conv2d(x, self.filter(x.mean((1, 2))).view(4, 3, 3, 3), padding=1)
            return self.head(x.relu().mean((1, 2)))

    verified(Single(), torch.rand(2, 4, 4))


def test_a_transposed_convolution_is_refused_for_what_it_is():
    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.filter = nn.Linear(3, 3 * 2 * 2)

        def forward(self, x):
            weight = self.filter(x.mean((2, 3))).view(3, 1, 2, 2)
            return functional.conv_transpose2d(x, weight, stride=2, groups=3)

    with pytest.raises(LoweringError, match="computed filter"):
        wsgraph.compile(Up(), "1x3x4x4")


def test_the_places_of_a_filter_differ_on_a_map_of_one_pixel():
    """All of a 3x3 filter but its middle sees padding, and so has no influence."""
    stream, report = checked(Hyper(n=2, channels=4, groups=4, padding=1), torch.rand(1, 2, 1, 1))
    assert [check.name for check in report.checks if not check.passed] == ["influence"]
    assert 9 not in {group.size for group in wsgraph.symmetries(stream)}


class Mixture(nn.Module):
    """CondConv: a mixture of filters, the weights of the mixture from the input."""

    def __init__(self, channels, filters, kernel, groups=1):
        super().__init__()
        self.shape = (filters, channels // groups, kernel, kernel)
        self.groups = groups
        self.routing = nn.Linear(channels, 2)
        self.experts = nn.Parameter(torch.empty(2, torch.Size(self.shape).numel()))
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x):
        weight = self.routing(x.mean((2, 3))).sigmoid() @ self.experts
        x = functional.conv2d(
            x, weight.view(self.shape), padding=self.shape[-1] // 2, groups=self.groups * x.shape[0]
        )
        return self.norm(x).relu()


def test_computed_convolutions_one_after_the_other():
    """What one gives is a feature map for the next, though it came from a product of activations."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 1),
        Mixture(3, 4, 1),
        Mixture(4, 4, 3, groups=4),
        Mixture(4, 3, 1),
        Mixture(3, 3, 3, groups=3),
        Mixture(3, 3, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )
    verified(model, torch.rand(1, 2, 4, 4))


class Bilinear(nn.Module):
    """x times a matrix of low rank that comes from the input."""

    def __init__(self, size, rank):
        super().__init__()
        self.left, self.right = nn.Linear(size, size * rank), nn.Linear(size, size * rank)
        self.size, self.rank = size, rank

    def forward(self, x):
        mean = x.mean(1)
        left = self.left(mean).view(1, self.size, self.rank)
        right = self.right(mean).view(1, self.rank, self.size)
        return x @ left @ right


def test_a_product_of_products():
    """What stands between the two factors of the second layer has no nodes, and meets them one by one."""
    model = nn.Sequential(nn.Linear(3, 4), Bilinear(4, 2), nn.ReLU(), Bilinear(4, 2), nn.Linear(4, 2))
    verified(model, torch.rand(1, 3, 3))


@pytest.mark.parametrize(
    ("layer", "shape"), [("linear", (4, 6)), ("conv1d", (4, 2, 3)), ("conv_transpose1d", (2, 4, 3))]
)
def test_a_bias_that_the_network_computes_is_added(layer, shape):
    def forward(s, x):
        return getattr(functional, layer)(x, s.weight, s.bias(s.code)).tanh()

    model = Net(forward, code=param(3), bias=nn.Linear(3, 4), weight=param(*shape))
    verified(model, torch.randn(1, 2, 6))


def test_a_hypernetwork_of_an_embedding_alone():
    """Ha et al.: filter and bias of a convolution come from a learned embedding."""

    def forward(s, x):
        made = s.hyper(s.code)
        return functional.conv1d(x, made[:6].view(2, 1, 3), made[6:])

    verified(Net(forward, code=param(3), hyper=nn.Linear(3, 8)), torch.randn(1, 1, 6))
