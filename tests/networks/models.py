"""The networks that the tests compile, each with its number of timestamps worked out by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from wsgraph.frontends.skeleton import skeleton

ATTENTION = 3  # q, k and v; the mixing; the output projection
MLP = 2
INVERTED = 3  # expand, depthwise, project
SQUEEZE = 2  # the two layers of a squeeze-and-excitation, between depthwise and project


@dataclass(frozen=True)
class Network:
    """How a network is made, and the length of its longest path in layers that mix neurons."""

    make: Callable[[], nn.Module]
    timestamps: int
    arch: str


def vision(name, timestamps):
    def make():
        import torchvision

        return torchvision.models.get_model(name)

    return Network(make, timestamps, f"torchvision.models:{name}")


def timm(name, timestamps):
    def make():
        import timm

        return timm.create_model(name)

    return Network(make, timestamps, f"timm:{name}")


def simple_vit():
    from vit_pytorch import SimpleViT

    return SimpleViT(image_size=32, patch_size=8, num_classes=10, dim=64, depth=2, heads=4, mlp_dim=128)


NETWORKS = {
    "resnet18": vision("resnet18", 18),
    "resnet50": vision("resnet50", 50),
    # patch embedding, 12 blocks, head
    "vit_b_16": vision("vit_b_16", 1 + 12 * (ATTENTION + MLP) + 1),
    # stem; 3 + 3 + 9 + 3 blocks of a depthwise and two pointwise layers; 3 downsampling layers; head
    "convnext_tiny": vision("convnext_tiny", 1 + 18 * 3 + 3 + 1),
    # stem; 6 + 12 + 24 + 16 layers of two convolutions; 3 transitions; head
    "densenet121": vision("densenet121", 1 + 58 * 2 + 3 + 1),
    # stem; a block without expansion; 2 without and 8 with squeeze-and-excitation; last convolution; 2 layers
    "mobilenet_v3_small": vision(
        "mobilenet_v3_small", 1 + (2 + SQUEEZE) + 2 * INVERTED + 8 * (INVERTED + SQUEEZE) + 1 + 2
    ),
    # stem; a block without expansion; 15 blocks; last convolution; head
    "efficientnet_b0": vision("efficientnet_b0", 1 + (2 + SQUEEZE) + 15 * (INVERTED + SQUEEZE) + 1 + 1),
    # patch embedding; 2 + 2 + 6 + 2 blocks; 3 mergings; head
    "swin_t": vision("swin_t", 1 + 12 * (ATTENTION + MLP) + 3 + 1),
    # patch embedding; 8 blocks that mix positions, then channels; head
    "mixer_s16_224": timm("mixer_s16_224", 1 + 8 * (MLP + MLP) + 1),
    # App. F.2: 12
    "simple_vit": Network(simple_vit, 1 + 2 * (ATTENTION + MLP) + 1, "vit_pytorch:SimpleViT"),
}


def random_model(network):
    """The network with random numbers in every parameter and running statistic, made in a moment."""
    with skeleton():
        model = network.make().eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.01, 1, generator=generator)
    return model
