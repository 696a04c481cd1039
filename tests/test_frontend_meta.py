"""Models built on ``meta``: structure without data, the same graph as the real model's."""

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.frontends.libraries import import_library


class Positions(nn.Module):
    """Makes tensors of its own in forward, as most transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 2)
        self.tied = self.head
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tied(self.embed(torch.arange(x.shape[1])) * self.scale + x)


@pytest.mark.parametrize("inputs", ["1x5x4", torch.empty(1, 5, 4, device="meta"), torch.zeros(1, 5, 4)])
def test_a_forward_that_makes_tensors_on_the_cpu(inputs):
    with torch.device("meta"):
        model = Positions()
    before = dict(model.named_parameters())
    stream = wsgraph.compile(model, inputs)
    assert all(p is before[name] and p.is_meta for name, p in model.named_parameters())
    assert stream.fingerprint == wsgraph.compile(Positions(), "1x5x4").fingerprint


def test_real_weights_can_be_bound_afterwards():
    with torch.device("meta"):
        stream = wsgraph.compile(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), "1x3")
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    bound = stream.bind(model.state_dict())
    assert all(torch.equal(t, bound.state_dict()[name]) for name, t in model.state_dict().items())


@pytest.mark.parametrize("arch", ["swin_t", "maxvit_t"])
def test_index_tables_without_data_give_the_same_graph(arch):
    make = getattr(import_library("torchvision.models"), arch)
    with torch.device("meta"):
        model = make()
    assert (
        wsgraph.compile(model, "1x3x224x224").fingerprint
        == wsgraph.compile(make(), "1x3x224x224").fingerprint
    )
