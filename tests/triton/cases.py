"""Operands of messages, and what the naive formula makes of them in float64."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages import Message, message_function
from wsgraph_encoders.messages.wiring import Wiring

pytest.importorskip("triton", reason="the kernels need Triton: pip install 'wsgraph[cuda]'")

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
REFERENCE = message_function("reference")


class Operands(NamedTuple):
    """What a message is made of: parameters are W_m1, its bias, sources or heads, and for Eq. 5 the rest."""

    wiring: Wiring
    weights: Tensor
    frequencies: Tensor
    parameters: tuple[Tensor, ...]

    def run(self, message: Message) -> Tensor:
        weight, bias, sources, *rest = self.parameters
        edge = ScalarMap(self.frequencies, weight, bias)
        if rest:
            return message.multi(self.wiring, self.weights, sources, rest[0], edge, rest[1])
        return message.single(self.wiring, self.weights, sources, edge)

    def exact(self) -> "Operands":
        """In float64 on the CPU."""
        wide = [x.detach().cpu().double().requires_grad_() for x in (self.weights, *self.parameters)]
        return Operands(self.wiring, wide[0], self.frequencies.cpu().double(), tuple(wide[1:]))

    def results(self, message: Message, upstream: Tensor) -> tuple[Tensor, ...]:
        """The sum, and the gradients of weights and parameters."""
        out = self.run(message)
        wanted = [self.weights, *self.parameters]
        upstream = upstream.to(out)
        return out, *torch.autograd.grad(out, wanted, upstream, materialize_grads=True)


def operands(wiring: Wiring, weights: Tensor, width: int, frequencies: int = 4, e: int = 0) -> Operands:
    """Random parameters for weights ``[b, *wiring.shape, m]``; heads are e wide if there are any."""
    batch, m = len(weights), weights.shape[-1]
    n_src = wiring.groups * wiring.n_src
    shapes: list[tuple[int, ...]] = [(e or width, 2 * frequencies), (e or width,)]
    shapes += [(batch, n_src, m, e), (batch, n_src, width), (m, e, width)] if e else [(batch, n_src, width)]
    parameters = tuple(torch.randn(shape, device=DEVICE).requires_grad_() for shape in shapes)
    b = 3 * torch.randn(frequencies, device=DEVICE)
    return Operands(wiring, weights.detach().to(DEVICE).requires_grad_(), b, parameters)


def relative(got: Tensor, expected: Tensor) -> float:
    """Distance over norm; the two have one shape."""
    assert got.shape == expected.shape
    difference = (got.detach().cpu().double() - expected.detach()).norm() / expected.detach().norm()
    return difference.item()
