"""The small ViT of the DNG zoo, and of ``wsgraph zoo train vit``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SimpleViT"]


class _Patches(nn.Module):
    """Images ``[batch, c, h, w]`` to patches ``[batch, n, p * p * c]``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns = height // self.size, width // self.size
        x = x.reshape(batch, channels, rows, self.size, columns, self.size)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, self.size**2 * channels)


class _Attention(nn.Module):
    """Multi-head attention with its norm in front, without biases."""

    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = dim_head**-0.5
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        q, k, v = (
            part.reshape(batch, tokens, self.heads, -1).transpose(1, 2)
            for part in self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) * self.scale, dim=-1)
        out: Tensor = self.to_out((weights @ v).transpose(1, 2).reshape(batch, tokens, -1))
        return out


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class _Transformer(nn.Module):
    def __init__(self, dim: int, depth: int, heads: int, dim_head: int, mlp_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(
            nn.ModuleList((_Attention(dim, heads, dim_head), _FeedForward(dim, mlp_dim)))
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.layers:
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                x = layer(x) + x
        out: Tensor = self.norm(x)
        return out


class SimpleViT(nn.Module):
    """A ViT with fixed sine positions and mean pooling (Beyer et al. 2022).

    Parameters have the names and shapes of ``vit_pytorch.SimpleViT``, whose checkpoints it takes.

    Args:
        image_size: side of the square images, pixels.
        patch_size: side of a patch, pixels; divides ``image_size``.
        num_classes: outputs.
        dim: width of a token; a multiple of 4.
        depth: blocks.
        heads: attention heads a block.
        mlp_dim: hidden units of a block's MLP.
        channels: of the images.
        dim_head: width of a head.
    """

    def __init__(  # noqa: PLR0913  the sizes that vit_pytorch.SimpleViT takes
        self,
        *,
        image_size: int,
        patch_size: int,
        num_classes: int,
        dim: int,
        depth: int,
        heads: int,
        mlp_dim: int,
        channels: int = 3,
        dim_head: int = 64,
    ) -> None:
        super().__init__()
        patch = channels * patch_size**2
        self.to_patch_embedding = nn.Sequential(
            _Patches(patch_size), nn.LayerNorm(patch), nn.Linear(patch, dim), nn.LayerNorm(dim)
        )
        self.register_buffer("pos_embedding", _positions(image_size // patch_size, dim), persistent=False)
        self.transformer = _Transformer(dim, depth, heads, dim_head, mlp_dim)
        self.linear_head = nn.Linear(dim, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``[batch, c, h, w]`` to logits ``[batch, num_classes]``."""
        x = self.to_patch_embedding(images) + self.pos_embedding
        out: Tensor = self.linear_head(self.transformer(x).mean(dim=1))
        return out


def _positions(side: int, dim: int) -> Tensor:
    """Sines and cosines of the patches' coordinates, ``[side * side, dim]``."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    omega = 10_000.0 ** -(torch.arange(dim // 4) / max(dim // 4 - 1, 1))
    angles = [coordinate.flatten()[:, None] * omega[None, :] for coordinate in (x, y)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)
