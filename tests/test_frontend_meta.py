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


SHIFTED_WINDOWS = {
    "patch_size": [4, 4], "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": [7, 7],
}  # fmt: skip
GRIDS = {
    "input_size": (64, 64), "stem_channels": 8, "partition_size": 4, "block_channels": [8, 16],
    "block_layers": [1, 1], "head_dim": 4, "stochastic_depth_prob": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "settings", "size"),
    [("SwinTransformer", SHIFTED_WINDOWS, "56x56"), ("MaxVit", GRIDS, "64x64")],
)
def test_index_tables_without_data_give_the_same_graph(arch, settings, size):
    make = getattr(import_library("torchvision.models"), arch)
    with torch.device("meta"):
        model = make(**settings)
    meta, real = (wsgraph.compile(m, f"1x3x{size}") for m in (model, make(**settings)))
    assert meta.fingerprint == real.fingerprint
