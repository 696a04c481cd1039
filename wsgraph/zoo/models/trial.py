"""The CNNs of the ModelZoos (Schürholt et al. 2022), under the names of their ``module_list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from wsgraph.errors import CheckpointError
from wsgraph.zoo.models.activations import activation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TrialCNN", "image_size"]

_POOLED = {(0, 3, 6, 9, 11): (0, 3), (0, 4, 8, 13, 16): (0, 4, 8)}
"""Places of the layers with weights in the small and in the large network, and those with a max-pooling."""

_SIZES = (28, 32, 64, 96)


class TrialCNN(nn.Module):
    """Three convolutions, some with a max-pooling, and two linear layers.

    Args:
        tensors: a state dict of the network; its names say which of the two it is.
        function: the activation's name.

    Raises:
        CheckpointError: the state dict belongs to another network, or the activation is unknown.
    """

    def __init__(self, tensors: Mapping[str, Tensor], function: str) -> None:
        super().__init__()
        places = tuple(sorted({int(name.split(".")[1]) for name in tensors if name.count(".") == 2}))
        if places not in _POOLED:
            raise CheckpointError(f"layers {places} of module_list are neither the small nor the large CNN")
        self.pooled = _POOLED[places]
        self.activation = activation(function)
        self.module_list = nn.ModuleDict()  # numbers as names: what stands between has no weights
        for place in places:
            weight = tensors[f"module_list.{place}.weight"]
            bias = f"module_list.{place}.bias" in tensors
            self.module_list[str(place)] = (
                nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=bias)
                if weight.ndim == 4
                else nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[batch, c, h, w]`` to logits ``[batch, classes]``."""
        last = list(self.module_list)[-1]
        for name, layer in self.module_list.items():
            if isinstance(layer, nn.Linear) and x.ndim == 4:
                x = x.flatten(1)
            x = layer(x)
            if int(name) in self.pooled:
                x = functional.max_pool2d(x, 2)
            if name != last:
                x = self.activation(x)
        return x


def image_size(network: TrialCNN) -> int:
    """Side of the images whose features fit the first linear layer.

    Raises:
        CheckpointError: no usual size does.
    """
    layers = list(network.module_list.items())
    convolutions = [(name, layer) for name, layer in layers if isinstance(layer, nn.Conv2d)]
    wanted = next(layer.in_features for _, layer in layers if isinstance(layer, nn.Linear))
    for size in _SIZES:
        side = size
        for name, layer in convolutions:
            side -= layer.kernel_size[0] - 1
            side = side // 2 if int(name) in network.pooled else side
        if side > 0 and convolutions[-1][1].out_channels * side**2 == wanted:
            return size
    raise CheckpointError(
        f"no image size of {_SIZES} gives the {wanted} features that the linear layer takes"
    )
