"""The operators as torch sees them: opcheck, and torch.compile without graph breaks."""

import pytest
import torch
from torch import Tensor

from tests.triton.cases import DEVICE, ON_GPU, operands, relative
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton import single
from wsgraph_encoders.triton.ladder import expand, ladder
from wsgraph_encoders.triton.launch import kernel_precision
from wsgraph_encoders.triton.message import TritonMessage


def single_operands() -> tuple[tuple[Tensor | str, ...], tuple[Tensor, Tensor, Tensor]]:
    """Of the operator, and its sizing parts: w, u and the gradient of the sum."""
    torch.manual_seed(0)
    scale = ladder(3 * torch.randn(2, device=DEVICE))
    g = ScalarMap(scale.frequencies, torch.randn(3, 4, device=DEVICE), torch.randn(3, device=DEVICE))
    coefficients, fourier, _ = expand(g, scale)
    w = (0.05 * torch.randn(2, 1, 4, 5, device=DEVICE)).requires_grad_()
    u = torch.randn(2, 1, 5, 3, device=DEVICE).requires_grad_()
    level = torch.tensor([[3, 0], [4, 0]], dtype=torch.int32, device=DEVICE)
    rest = coefficients.requires_grad_(), fourier.requires_grad_(), *scale[:3], level, "ieee"
    return (w, u, *rest), (w, u, torch.randn(2, 1, 4, 3, device=DEVICE))


def test_opcheck_of_the_sum() -> None:
    arguments, _ = single_operands()
    torch.library.opcheck(single.single, arguments)


def test_opcheck_of_gradients_and_counts() -> None:
    arguments, (w, u, dm) = single_operands()
    plain, (*scale, level, precision) = (w.detach(), u.detach(), dm), arguments[4:]
    coefficients, fourier = (x.detach() for x in arguments[2:4] if isinstance(x, Tensor))
    torch.library.opcheck(single.single_weights, (*plain, coefficients, fourier, *scale, level, precision))
    torch.library.opcheck(single.single_coefficients, (*plain, *scale, level, len(coefficients), precision))
    torch.library.opcheck(single.outside_counts, (w.detach(), scale[1]))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"] if ON_GPU else ["aot_eager"])
def test_compiles_without_graph_breaks(backend: str) -> None:
    torch.manual_seed(0)
    drawn = operands(DenseWiring(1, 4, 5), 0.05 * torch.randn(1, 1, 4, 5, 1), 3, frequencies=2)
    message = TritonMessage()

    def run(weights: Tensor, *parameters: Tensor) -> Tensor:
        return drawn._replace(weights=weights, parameters=parameters).run(message)

    leaves = drawn.weights, *drawn.parameters
    upstream = torch.randn(1, 4, 3, device=DEVICE)
    expected = run(*leaves)
    out = torch.compile(run, fullgraph=True, backend=backend)(*leaves)
    wanted = torch.autograd.grad(expected, leaves, upstream)
    for found, exact in zip(torch.autograd.grad(out, leaves, upstream), wanted, strict=True):
        assert relative(found, exact.cpu().double()) <= 1e-5
    assert relative(out, expected.cpu().double()) <= 1e-5


def test_the_precision_follows_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, name in (("highest", "tf32x3"), ("high", "tf32"), ("medium", "bf16")):
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda setting=setting: setting)
        assert kernel_precision("torch") == kernel_precision(name)
    with pytest.raises(EncoderError, match="got 'float8'"):
        TritonMessage("float8")
