"""Images of one channel: the channel is the input node, though its labels vary nowhere."""

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.zoo.models.vit import SimpleViT


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_vit_takes_as_many_timestamps_whatever_the_channels(channels):
    sizes = {"image_size": 8, "patch_size": 4, "num_classes": 3, "dim": 8, "depth": 2, "heads": 2}
    model = SimpleViT(**sizes, mlp_dim=8, dim_head=4, channels=channels)
    stream = wsgraph.compile(model, inputs=f"1x{channels}x8x8")
    assert stream.num_timestamps == 12  # App. F.2
    assert stream.node_blocks[0].size in {channels, 16 * channels}


def test_a_flattened_image_of_one_channel_has_one_input_node():
    stream = wsgraph.compile(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), inputs="1x1x8x8")
    assert [node.size for node in stream.node_blocks] == [1, 4]
    assert stream.edge_blocks[0].shape == (4, 1, 64)  # App. F.1: a virtual vertex a pixel


def test_a_linear_layer_still_has_its_features_as_input_nodes():
    stream = wsgraph.compile(nn.Linear(8, 4), inputs=torch.zeros(1, 1, 5, 8))
    assert [node.size for node in stream.node_blocks] == [8, 4]
