"""Networks that the benchmarks encode; plain torch but for the well-known large ones."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

import wsgraph
from wsgraph.frontends.libraries import import_library


class Sine(nn.Module):
    """The activation of a SIREN."""

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise sine."""
        return x.sin()


def chain(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A multilayer perceptron."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    """Attention and an MLP, each after a layer norm (App. F.2)."""

    def __init__(self, dim: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.qkv = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, mlp), nn.GELU(), nn.Linear(mlp, dim))

    def forward(self, x: Tensor) -> Tensor:
        """``[b, n, dim]``."""
        b, n, dim = x.shape
        q, k, v = (
            self.qkv(self.norm(x)).reshape(b, n, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        )
        z = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(z.transpose(1, 2).reshape(b, n, dim))
        return x + self.mlp(x)


class SmallViT(nn.Module):
    """The SimpleViT of App. F.2: two blocks for CIFAR-10, patches of 4x4, width 64, four heads."""

    def __init__(self, dim: int = 64, depth: int = 2, heads: int = 4, mlp: int = 128) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.LayerNorm(48), nn.Linear(48, dim), nn.LayerNorm(dim))
        self.blocks = nn.Sequential(*(Block(dim, heads, mlp) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, 3, 32, 32]``."""
        patches = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
        return self.head(self.norm(self.blocks(self.embed(patches))).mean(1))


class SmallCNN(nn.Module):
    """As those of a model zoo: a few convolutions, pooled, and a head."""

    def __init__(self, width: int, depth: int, kernel: int) -> None:
        super().__init__()
        widths = [3, *[width] * depth]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, kernel, padding=kernel // 2), nn.ReLU())
                for a, b in pairwise(widths)
            )
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, 3, 32, 32]``."""
        return self.head(self.layers(x).mean((2, 3)))


def copies(build: Callable[[], nn.Module], shape: str, count: int) -> list[wsgraph.EventStream]:
    """Networks of one architecture, freshly initialised, their weights on the GPU."""
    stream = wsgraph.compile(build(), shape)
    return [stream.bind(on_gpu(build().state_dict())) for _ in range(count)]


def on_gpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict on the GPU."""
    return {name: tensor.cuda() for name, tensor in state.items()}


def mixed(count: int) -> list[wsgraph.EventStream]:
    """A Wild-Park-style mixture: MLPs, CNNs and ViTs of many sizes, few of each."""
    builds: list[tuple[Callable[[], nn.Module], str]] = []
    for i in range(count):
        width = 8 * (1 + i % 8)
        builds.append(
            [
                (lambda w=width, d=i % 3: chain(48, *[2 * w] * (1 + d), 10), "1x48"),
                (lambda w=width, d=i % 4, k=(1, 3, 5)[i % 3]: SmallCNN(w, 1 + d, k), "1x3x32x32"),
                (lambda w=width, d=i % 2: SmallViT(w, 1 + d, 4, 2 * w), "1x3x32x32"),
            ][i % 3]
        )
    return [stream for build, shape in builds for stream in copies(build, shape, 4)]


def torchvision_network(name: str) -> list[wsgraph.EventStream]:
    """A classifier of torchvision, freshly initialised."""
    return copies(getattr(import_library("torchvision.models"), name), "1x3x224x224", 1)


def llama() -> wsgraph.EventStream:
    """Llama-7B's shapes with random bfloat16 weights, made on the GPU."""
    transformers = import_library("transformers")
    config = transformers.LlamaConfig()  # the 7-billion-parameter model's sizes are its defaults
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    stream = wsgraph.compile(model, "1x16:int64")
    state = {}
    for name, tensor in stream.structure.tensors.items():
        scale = 1 / math.sqrt(tensor.shape[-1]) if len(tensor.shape) > 1 else 1.0
        made = torch.empty(tensor.shape, device="cuda", dtype=torch.bfloat16)
        state[name] = made.normal_(0, scale) if len(tensor.shape) > 1 else made.fill_(scale)
    return stream.bind(state)
