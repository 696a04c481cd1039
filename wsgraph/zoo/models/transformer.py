"""The networks of the Small Transformer Zoo (Tran et al. 2024), under the names of their checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ZooTransformer"]


class _Vision(nn.Module):
    """Patches by a strided convolution, then fixed positions kept among the parameters."""

    def __init__(self, kernel: Tensor, positions: Tensor | None) -> None:
        super().__init__()
        size = kernel.shape[2]
        self.conv1 = nn.Conv2d(kernel.shape[1], kernel.shape[0], size, stride=size)
        if positions is not None:
            self.pos_embedding = nn.Parameter(torch.empty_like(positions), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).flatten(2).transpose(1, 2)
        return x + self.pos_embedding if hasattr(self, "pos_embedding") else x


class _Text(nn.Module):
    """Word vectors, where the checkpoint holds them, and fixed positions."""

    def __init__(self, words: Tensor | None, positions: Tensor | None) -> None:
        super().__init__()
        if words is not None:
            self.embedding = nn.Embedding(*words.shape)
        if positions is not None:
            self.pos_embedding = nn.Parameter(torch.empty_like(positions), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x) if hasattr(self, "embedding") else x
        return x + self.pos_embedding[..., : x.shape[1], :] if hasattr(self, "pos_embedding") else x


class _Attention(nn.Module):
    """Attention without biases."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(dim, dim, bias=False)
        self.keys = nn.Linear(dim, dim, bias=False)
        self.values = nn.Linear(dim, dim, bias=False)
        self.out_projection = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        q, k, v = (
            layer(x).reshape(batch, tokens, self.heads, -1).transpose(1, 2)
            for layer in (self.queries, self.keys, self.values)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) / (dim // self.heads) ** 0.5, dim=-1)
        out: Tensor = self.out_projection((weights @ v).transpose(1, 2).reshape(batch, tokens, dim))
        return out


class _Block(nn.Module):
    """Attention and two linear layers, each after a norm without weights; no residuals."""

    def __init__(self, dim: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.attention = _Attention(dim, heads)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(torch.relu(self.fc1(self.norm(self.attention(self.norm(x))))))
        return out


class _Classifier(nn.Module):
    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, dim)
        self.fc2 = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(torch.relu(self.fc1(x.mean(dim=1))))
        return out


class ZooTransformer(nn.Module):
    """An embedding, blocks of attention and two linear layers, a mean over tokens, a classifier.

    Args:
        tensors: a state dict of the network, which fixes all sizes. Where its word vectors are missing, the
            network starts from vectors ``[batch, tokens, dim]``.
        heads: attention heads.

    Raises:
        CheckpointError: the state dict belongs to another network.
    """

    def __init__(self, tensors: Mapping[str, Tensor], heads: int) -> None:
        super().__init__()
        depth = len({name.split(".")[1] for name in tensors if name.startswith("encoder.")})
        try:
            hidden, dim = tensors["encoder.0.fc1.weight"].shape
            classes = tensors["classifier.fc2.weight"].shape[0]
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"the state dict is none of a small transformer: {error}") from error
        positions = tensors.get("embedding.pos_embedding")
        kernel = tensors.get("embedding.conv1.weight")
        self.embedding: nn.Module = (
            _Vision(kernel, positions)
            if kernel is not None
            else _Text(tensors.get("embedding.embedding.weight"), positions)
        )
        self.encoder = nn.ModuleList(_Block(dim, hidden, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.classifier = _Classifier(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images or tokens to logits ``[batch, classes]``."""
        x = self.embedding(x)
        for block in self.encoder:
            x = block(x)
        out: Tensor = self.classifier(self.norm(x))
        return out
