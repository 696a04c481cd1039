"""Convolutional networks of the published zoos, and of ``wsgraph zoo train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph.errors import CheckpointError
from wsgraph.zoo.models.activations import activation

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ParkCNN"]


class ParkCNN(nn.Module):
    """Convolutions with an activation each, some residuals, global average pooling, a linear head.

    The network of the CNN Wild Park (Kofinas et al. 2024), and without residuals that of the Small CNN Zoo
    (Unterthiner et al. 2020). A residual adds the first channels of an earlier layer's *activated* output,
    as many as both have, to the layer's output before its activation.

    Args:
        channels: of the input and of each layer, ``n_layers + 1`` numbers.
        kernel_size: of each layer.
        stride: of each layer.
        padding: of each layer.
        activations: names, one a layer.
        residual: the layer whose output is added to this one's, or -1, one a layer.
        n_classes: outputs.

    Raises:
        CheckpointError: the lists' lengths differ, a residual comes from no earlier layer, or an activation
            is unknown.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        activations: Sequence[str],
        residual: Sequence[int],
        n_classes: int,
    ) -> None:
        super().__init__()
        layers = len(channels) - 1
        lengths = [len(kernel_size), len(stride), len(padding), len(activations), len(residual)]
        if layers < 1 or any(length != layers for length in lengths):
            raise CheckpointError(
                f"{layers} layers have {lengths} kernels, strides, paddings, activations, residuals"
            )
        if any(not -1 <= source < layer for layer, source in enumerate(residual)):
            raise CheckpointError(f"residuals {list(residual)} do not all come from earlier layers")
        self.residual = tuple(residual)
        self.functions = tuple(activation(name) for name in activations)
        self.layers = nn.ModuleList(
            nn.Conv2d(n_in, n_out, kernel, stride=step, padding=pad)
            for n_in, n_out, kernel, step, pad in zip(
                channels[:-1], channels[1:], kernel_size, stride, padding, strict=True
            )
        )
        self.fc = nn.Linear(channels[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[batch, c, h, w]`` to logits ``[batch, n_classes]``."""
        outputs: list[Tensor] = []
        for layer, source, function in zip(self.layers, self.residual, self.functions, strict=True):
            x = layer(x)
            if source >= 0:
                shared = min(x.shape[1], outputs[source].shape[1])
                added = x[:, :shared] + outputs[source][:, :shared]
                x = added if shared == x.shape[1] else torch.cat([added, x[:, shared:]], dim=1)
            x = function(x)
            outputs.append(x)
        out: Tensor = self.fc(x.mean(dim=(2, 3)))
        return out
