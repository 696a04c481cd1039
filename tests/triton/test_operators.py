"""The operators as torch sees them: opcheck, and torch.compile without graph breaks."""

import pytest
import torch
from torch import Tensor

from tests.triton.cases import DEVICE, ON_GPU, operands, relative
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton.ladder import expand, ladder
from wsgraph_encoders.triton.launch import kernel_precision
from wsgraph_encoders.triton.layout import Segment, table_of
from wsgraph_encoders.triton.message import TritonMessage

OPCHECKED = (
    "ladder", "outside_counts", "single", "single of a table", "single_coefficients", "single_weights",
    "multi", "multi_backward", "multi_backward but weights",
)  # fmt: skip
"""Operators, with other words where one has several cases."""


def arguments(case: str) -> tuple[object, ...]:
    """Three destinations and two sources, with weights as a view; messages and heads are three wide."""
    torch.manual_seed(0)
    scale = ladder(3 * torch.randn(2, device=DEVICE))
    weight, bias = torch.randn(3, 4, device=DEVICE), torch.randn(3, device=DEVICE)
    coefficients, fourier, _ = expand(ScalarMap(scale.frequencies, weight, bias), scale)
    functions = coefficients, fourier
    level = torch.tensor([[0, 0]], dtype=torch.int32, device=DEVICE)
    rest = *scale[:3], level, "ieee"
    w = (0.05 * torch.randn(1, 1, 2, 3, device=DEVICE)).transpose(-1, -2)
    u, dm = torch.randn(1, 1, 2, 3, device=DEVICE), torch.randn(1, 1, 3, 3, device=DEVICE)
    table = table_of([Segment(0, 2, 1, 3, 2, 0, 0)], DEVICE)
    parallel = torch.stack([w, -w], -1)
    at_sources = torch.randn(1, 1, 2, 2, 3, device=DEVICE), u, torch.randn(2, 3, 3, device=DEVICE)
    return {
        "ladder": (scale.frequencies,),
        "outside_counts": (w, scale.inverse),
        "single": (*learned(w, u, *functions), *rest),
        "single of a table": (*learned(w.flatten(), u.flatten(0, 2), *functions), *rest, *table, 3),
        "single_coefficients": (w, u, dm, *rest[:-1], len(coefficients), "ieee"),
        "single_weights": (w, u, dm, *functions, *rest),
        "multi": (*learned(parallel, *at_sources, *functions), *rest),
        "multi_backward": (parallel, *at_sources, dm, *functions, *rest, True),
        "multi_backward but weights": (parallel, *at_sources, dm, *functions, *rest, False),
    }[case]


def learned(*tensors: Tensor) -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("case", OPCHECKED)
def test_opcheck(case: str) -> None:
    operator = getattr(torch.ops.wsgraph_encoders, case.partition(" ")[0])
    torch.library.opcheck(operator.default, arguments(case))


def test_every_operator_is_checked() -> None:
    namespace = "wsgraph_encoders::"
    names = {name for name in torch._C._dispatch_get_all_op_names() if name.startswith(namespace)}
    assert names == {namespace + case.partition(" ")[0] for case in OPCHECKED}


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
