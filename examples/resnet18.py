"""Write a ResNet-18 in plain torch to a file: ``python examples/resnet18.py resnet18.pt2``.

An exported program needs neither this file nor a class on the allowlist to be compiled.
"""

import sys

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


class ResNet18(nn.Module):
    """The network of He et al. 2016, table 1, 18 layers."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 3, height, width] to [batch, classes]."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


if __name__ == "__main__":
    model = ResNet18().eval()
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 224, 224),)), sys.argv[1])
    print(f"wrote {sys.argv[1]}: {sum(p.numel() for p in model.parameters()):,} parameters")
