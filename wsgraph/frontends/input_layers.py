"""Input shapes that a model's first layers suggest."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Guess", "layer_guesses"]

Guess: TypeAlias = tuple[tuple[int, ...], torch.dtype]
"""Sizes and dtype of one input."""

_SIDES = (32, 28, 64, 96, 128, 224, 256, 299, 384, 448, 512, 16, 8)
_LENGTHS = (32, 64, 128, 224, 256, 512, 1024, 4096, 16000, 16)
_VOLUMES = (8, 16, 32, 64, 112)
_TOKENS = 16
_FIRST = 3
"""How many layers are tried as the one that takes the input: modules need not run in their order."""


def layer_guesses(module: nn.Module, dtype: torch.dtype) -> Iterator[tuple[Guess, str]]:
    """Shapes of the model's input ``[1, ...]``, likely and small ones first, each with the reason for it.

    Args:
        module: the model.
        dtype: dtype of floating point inputs.
    """
    suggestions = ((layer, _shapes(layer)) for layer in module.modules())
    for layer, shapes in islice(((layer, shapes) for layer, shapes in suggestions if shapes), _FIRST):
        own = torch.int64 if isinstance(layer, nn.Embedding | nn.EmbeddingBag) else dtype
        for shape in shapes:
            yield (shape, own), f"the first usual shape that runs, from a first {type(layer).__name__}"
    # Patches may be cut out before the first layer, so that no layer knows the number of channels.
    for channels in (3, 1):
        for side in _SIDES:
            yield ((1, channels, side, side), dtype), "the first usual image size that runs"


def _shapes(layer: nn.Module) -> list[tuple[int, ...]]:
    """Inputs that the layer could take; none for a layer that says nothing about them."""
    shapes: list[tuple[int, ...]] = []
    if isinstance(layer, nn.Conv1d):
        shapes = [(1, layer.in_channels, length) for length in _LENGTHS]
    elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        shapes = [(1, layer.in_channels, side, side) for side in _SIDES]
    elif isinstance(layer, nn.Conv3d):
        shapes = [(1, layer.in_channels, side, side, side) for side in _VOLUMES]
    elif isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        shapes = [(1, _TOKENS)]
    elif isinstance(layer, nn.RNNBase):
        shapes = [(1, _TOKENS, layer.input_size) if layer.batch_first else (_TOKENS, 1, layer.input_size)]
    elif isinstance(layer, nn.MultiheadAttention):
        shapes = [(1, _TOKENS, layer.embed_dim) if layer.batch_first else (_TOKENS, 1, layer.embed_dim)]
    elif isinstance(layer, nn.Linear):
        shapes = [(1, layer.in_features), (1, _TOKENS, layer.in_features)]
    return shapes
