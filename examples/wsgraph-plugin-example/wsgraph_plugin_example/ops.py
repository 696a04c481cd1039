"""An operator of one's own, and a module that uses it."""

import torch
from torch import Tensor, nn

__all__ = ["ScaledLinear", "scaled_linear"]


@torch.library.custom_op("wsgraph_plugin_example::scaled_linear", mutates_args=())
def scaled_linear(input: Tensor, weight: Tensor, bias: Tensor, scale: float) -> Tensor:  # noqa: A002  torch's name
    """``scale * input @ weight.T + bias``: [..., n_src] to [..., n_dst]."""
    return nn.functional.linear(input, scale * weight, bias)


@scaled_linear.register_fake
def _(input: Tensor, weight: Tensor, bias: Tensor, scale: float) -> Tensor:  # noqa: A002, ARG001  torch's names
    return input.new_empty(*input.shape[:-1], weight.shape[0])


class ScaledLinear(nn.Module):
    """A linear layer with a fixed factor on its weight."""

    def __init__(self, n_src: int, n_dst: int, scale: float = 0.5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_dst, n_src))
        self.bias = nn.Parameter(torch.zeros(n_dst))
        self.scale = scale

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's name
        """[..., n_src] to [..., n_dst]."""
        return scaled_linear(input, self.weight, self.bias, self.scale)
