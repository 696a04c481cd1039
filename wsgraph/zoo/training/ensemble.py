"""Many networks of one architecture as one: stacked parameters, and AdamW with settings a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Ensemble", "member_init"]

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def member_init(build: Callable[[], nn.Module], seed: int, scale: float) -> dict[str, Tensor]:
    """Initial parameters of one network, drawn from its own seed; matrices and kernels are scaled."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build()
    return {
        name: parameter.detach() * (scale if parameter.ndim > 1 else 1.0)
        for name, parameter in module.named_parameters()
    }


class Ensemble:
    """Networks that are trained side by side.

    Args:
        module: a network of the architecture; its own parameters are not used.
        members: parameters by name, network by network.
        lr: step sizes.
        weight_decay: of AdamW, network by network.
        device: where to train.
    """

    def __init__(
        self,
        module: nn.Module,
        members: Sequence[dict[str, Tensor]],
        lr: Sequence[float],
        weight_decay: Sequence[float],
        device: torch.device,
    ) -> None:
        module = module.to(device)
        self.parameters = {
            name: torch.stack([member[name] for member in members]).to(device).requires_grad_()
            for name in members[0]
        }
        self._mean = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self._square = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self._lr = torch.tensor(lr, device=device)
        self._decay = torch.tensor(weight_decay, device=device)
        self._step = 0

        def forward(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            out: Tensor = functional_call(module, parameters, (x,))
            return out

        self._forward = vmap(forward)
        self._shared = vmap(forward, in_dims=(0, None))

    def __call__(self, x: Tensor, *, shared: bool = False) -> Tensor:
        """Outputs ``[m, batch, ...]`` of inputs ``[m, batch, ...]``, or of ``[batch, ...]`` if ``shared``."""
        out: Tensor = (self._shared if shared else self._forward)(self.parameters, x)
        return out

    def step(self, losses: Tensor) -> None:
        """One step of AdamW for every network; ``losses`` ``[m]``."""
        self._step += 1
        names = list(self.parameters)
        gradients = torch.autograd.grad(losses.sum(), [self.parameters[name] for name in names])
        with torch.no_grad():
            for name, gradient in zip(names, gradients, strict=True):
                self._update(name, gradient)

    def _update(self, name: str, gradient: Tensor) -> None:
        parameter, mean, square = self.parameters[name], self._mean[name], self._square[name]
        mean.lerp_(gradient, 1 - _BETA1)
        square.lerp_(gradient.square(), 1 - _BETA2)
        size = (square / (1 - _BETA2**self._step)).sqrt_().add_(_EPSILON)
        each = (-1,) + (1,) * (parameter.ndim - 1)
        decayed = parameter * self._decay.view(each) if parameter.ndim > 2 else 0.0  # never biases and norms
        parameter -= self._lr.view(each) * (mean / (1 - _BETA1**self._step) / size + decayed)

    def keep(self, members: Tensor) -> None:
        """Go on with some of the networks only; ``members`` are their positions."""
        for stacks in (self._mean, self._square):
            for name in stacks:
                stacks[name] = stacks[name][members]
        for name, parameter in self.parameters.items():
            self.parameters[name] = parameter.detach()[members].requires_grad_()
        self._lr, self._decay = self._lr[members], self._decay[members]

    def member(self, position: int) -> dict[str, Tensor]:
        """One network's parameters, copied to main memory."""
        return {name: p.detach()[position].cpu().clone() for name, p in self.parameters.items()}
