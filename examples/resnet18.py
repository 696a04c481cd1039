"""Write a ResNet-18 in plain torch to a file: ``python examples/resnet18.py resnet18.pt2``.

An exported program needs neither this file nor a class on the allowlist to be compiled.
"""

import sys
from itertools import pairwise

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions and a residual sum."""

    def __init__(self, n_src: int, n_dst: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_src, n_dst, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_dst)
        self.conv2 = nn.Conv2d(n_dst, n_dst, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_dst)
        self.downsample = None
        if stride != 1 or n_src != n_dst:
            shortcut = nn.Conv2d(n_src, n_dst, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(n_dst))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, n_src, height, width] to [batch, n_dst, height / stride, width / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + shortcut)


def resnet18(classes: int = 1000) -> nn.Module:
    """The network of He et al. 2016, table 1, 18 layers."""
    stem = [
        nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    widths = [64, 64, 128, 256, 512]
    stages = [
        nn.Sequential(Block(n_src, n_dst, 1 if n_src == n_dst else 2), Block(n_dst, n_dst, 1))
        for n_src, n_dst in pairwise(widths)
    ]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)]
    return nn.Sequential(*stem, *stages, *head)


if __name__ == "__main__":
    model = resnet18().eval()
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 224, 224),)), sys.argv[1])
    print(f"wrote {sys.argv[1]}: {sum(p.numel() for p in model.parameters()):,} parameters")
