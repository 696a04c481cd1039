"""Small networks that the tests encode."""

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

import wsgraph


def compiled(model: nn.Module, shape: str) -> wsgraph.EventStream:
    """A model's stream, with weights and statistics that are not those of a fresh model."""
    torch.manual_seed(sum(map(ord, shape)))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.3)
    return wsgraph.compile(model.eval(), shape)


def mlp(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A multilayer perceptron."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class Residual(nn.Module):
    """A small ResNet: normalised, with a residual sum, pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.inner = nn.Conv2d(6, 5, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.outer = nn.Conv2d(5, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = x + self.outer(self.norm(self.inner(x)).relu())
        return self.head(x.relu().mean((2, 3)))


class Dense(nn.Module):
    """A small DenseNet: every layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 5, 3, padding=1)
        self.outer = nn.Conv2d(9, 3, 3, padding=1)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = torch.cat([x, self.inner(x).relu()], 1)
        x = torch.cat([x, self.outer(x).relu()], 1)
        return self.head(x.mean((2, 3)))


class Transformer(nn.Module):
    """Patches, one block of attention and MLP, a head."""

    def __init__(self, heads: int = 2, width: int = 6) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Linear(5, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 7), nn.Linear(7, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        z = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(z.transpose(1, 2).flatten(2))
        x = x + self.down(self.up(self.norm2(x)).relu())
        return self.head(x.mean(1))


def convolutional() -> nn.Sequential:
    """Normal, grouped and depthwise convolutions, then a flattening layer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


NETWORKS: Mapping[str, tuple[Any, str]] = {
    "mlp": (lambda: mlp(3, 6, 5, 4), "1x3"),
    "cnn": (convolutional, "1x3x8x8"),
    "resnet": (Residual, "1x3x6x6"),
    "densenet": (Dense, "1x3x6x6"),
    "vit": (Transformer, "1x3x5"),
}


@cache
def stream(name: str) -> wsgraph.EventStream:
    """The stream of one of ``NETWORKS``."""
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    return compiled(build(), shape)


def doubled(stream: wsgraph.EventStream) -> wsgraph.EventStream:
    """The stream with float64 weights."""
    return stream.bind(
        {k: v.double() if v.is_floating_point() else v for k, v in stream.state_dict().items()}
    )
