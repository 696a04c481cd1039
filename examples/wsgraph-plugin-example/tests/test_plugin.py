"""The operator compiles, and no parameter is lost."""

import torch
from torch import nn

import wsgraph
from wsgraph_plugin_example.ops import ScaledLinear


def test_scaled_linear_becomes_dense_edges() -> None:
    model = nn.Sequential(ScaledLinear(3, 5), nn.ReLU(), ScaledLinear(5, 2))
    stream = wsgraph.compile(model, inputs="1x3")
    assert stream.num_timestamps == 2
    assert stream.num_nodes == 3 + 5 + 2
    assert stream.num_edges == 3 * 5 + 5 * 2
    restored = stream.state_dict()
    assert all(torch.equal(tensor, restored[name]) for name, tensor in model.state_dict().items())
