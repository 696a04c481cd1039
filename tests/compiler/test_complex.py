"""Complex arithmetic and Fourier transforms: written out in real operators, which compute the same."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fft, nn

import wsgraph
from tests.compiler.nets import Net, edges, param, roles
from wsgraph.compiler import trace
from wsgraph.errors import UnsupportedOperatorError
from wsgraph.ir.execute import execute

Prove = Callable[..., wsgraph.EventStream]


def same_function(model: nn.Module, *inputs: Tensor) -> None:
    """The real operators give what the complex ones give."""
    graph = trace(model, inputs)
    outputs, _ = execute(graph, inputs, dict(model.state_dict()))
    expected = model(*inputs).detach()
    assert torch.allclose(outputs[0], expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max() + 1))


TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "fft": lambda x: fft.fft(x).real,
    "fft over positions": lambda x: fft.fft(x, dim=1).imag,
    "fft2": lambda x: fft.fft2(x, norm="ortho").real,
    "fftn of two": lambda x: fft.fftn(x, dim=(1, 2)).real,
    "fft of more points": lambda x: fft.fft(x, n=9).real,
    "fft of fewer points": lambda x: fft.fft(x, n=4, norm="forward").imag,
    "spectrum": lambda x: fft.rfft(x, dim=1).abs(),
    "phase": lambda x: fft.rfft(x, dim=1).angle().cos(),
    "there and back": lambda x: fft.ifft(fft.fft(x, dim=1), dim=1).real,
    "odd and back": lambda x: fft.irfft(fft.rfft(x, dim=1), n=5, dim=1),
    "even and back": lambda x: fft.irfft(fft.rfft(x, dim=2, norm="ortho"), n=6, dim=2, norm="ortho"),
    "back of default length": lambda x: fft.irfft(fft.rfft(x, dim=1), dim=1),
    "two and back": lambda x: fft.irfft2(fft.rfft2(x), s=(5, 6)),
    "low passed": lambda x: fft.irfftn(fft.rfftn(x, dim=(1, 2))[:, :3, :2], s=(5, 6), dim=(1, 2)),
    "shifted": lambda x: fft.fftshift(fft.fft(x, dim=1), dim=1).real,
}


@pytest.mark.parametrize("f", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_transforms(prove: Prove, f: Callable[[Tensor], Tensor]) -> None:
    width = f(torch.zeros(1, 5, 6)).shape[-1]
    model = Net(lambda s, x: s.b(f(s.a(x))), a=nn.Linear(3, 6), b=nn.Linear(width, 2))
    same_function(model, torch.randn(2, 5, 3))
    stream = prove(model, "1x5x3")
    assert stream.ledger().total("lowered") == sum(p.numel() for p in model.parameters())


def test_over_neurons_it_is_a_layer_of_fixed_weights(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: s.b(fft.fft(s.a(x)).real), a=nn.Linear(3, 6), b=nn.Linear(6, 2)), "1x5x3")
    assert roles(stream)[1:] == [(1, "hidden", 6), (2, "hidden", 6), (3, "output", 2)]
    waves = stream.feature(stream.edge_blocks[1].feature).squeeze(-1)  # type: ignore[arg-type]  # a view
    assert torch.allclose(waves, fft.fft(torch.eye(6)).real, atol=1e-6)


def test_over_positions_neurons_keep_to_themselves(prove: Prove) -> None:
    stream = prove(
        Net(lambda s, x: s.b(fft.fft(s.a(x), dim=1).real), a=nn.Linear(3, 6), b=nn.Linear(6, 2)), "1x5x3"
    )
    assert edges(stream) == ["n0 -> n1 dense 6x3x1 a.weight", "n1 -> n2 dense 2x6x1 b.weight"]


def global_filter(s: Net, x: Tensor) -> Any:
    """GFNet: every frequency of every channel times a complex weight of its own."""
    filtered = fft.rfft2(s.a(x), dim=(1, 2), norm="ortho") * torch.view_as_complex(s.w)
    return s.b(fft.irfft2(filtered, s=(4, 6), dim=(1, 2), norm="ortho"))


def neural_operator(s: Net, x: Tensor) -> Any:
    """FNO: low frequencies through a complex layer of their own, the others are left out."""
    spectrum = fft.rfft2(s.a(x))
    out = torch.zeros(1, 5, 4, 4, dtype=torch.cfloat)
    out[:, :, :2, :3] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, :2, :3], s.w)
    return s.b(fft.irfft2(out, s=(4, 6)))


def adaptive_operator(s: Net, x: Tensor) -> Any:
    """AFNO: two complex layers over the channels of each frequency, with a real nonlinearity."""
    spectrum = fft.rfft2(s.a(x), dim=(1, 2))
    real = torch.relu(spectrum.real @ s.r - spectrum.imag @ s.i)
    imaginary = torch.relu(spectrum.imag @ s.r + spectrum.real @ s.i)
    shrunk = nn.functional.softshrink(torch.stack([real, imaginary], -1), 0.01)
    return s.b(fft.irfft2(torch.view_as_complex(shrunk), s=(4, 6), dim=(1, 2)))


def rotary(s: Net, x: Tensor) -> Any:
    """Llama's own rotary embedding: pairs of channels times complex numbers of length one."""
    angles = torch.outer(torch.arange(5.0), torch.tensor([1.0, 0.1]))
    turns = torch.polar(torch.ones_like(angles), angles)

    def turned(h: Tensor) -> Tensor:
        return torch.view_as_real(torch.view_as_complex(h.view(1, 5, 2, 2)) * turns).flatten(2)

    q, k, v = turned(s.q(x)), turned(s.k(x)), s.v(x)
    return s.o((q @ k.transpose(1, 2)).softmax(-1) @ v)


def channels(n: int) -> dict[str, nn.Module]:
    return {"a": nn.Linear(3, n), "b": nn.Linear(n, 2)}


CASES: dict[str, tuple[Callable[[Net, Tensor], Any], dict[str, Any], str]] = {
    "global filter": (global_filter, {**channels(5), "w": param(4, 4, 5, 2)}, "1x4x6x3"),
    "adaptive": (adaptive_operator, {**channels(5), "r": param(5, 5), "i": param(5, 5)}, "1x4x6x3"),
    "rotary": (rotary, {n: nn.Linear(3, 4) for n in "qkv"} | {"o": nn.Linear(4, 2)}, "1x5x3"),
    "neural operator": (
        neural_operator,
        {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(5, 2, 1), "w": nn.Parameter(torch.randn(4, 5, 2, 3) + 0j)},
        "1x3x4x6",
    ),
}


@pytest.mark.parametrize(("forward", "parts", "shape"), CASES.values(), ids=CASES.keys())
def test_networks_of_complex_layers(prove: Prove, forward: Any, parts: Any, shape: str) -> None:
    model = Net(forward, **parts)
    same_function(model, torch.randn([int(n) for n in shape.split("x")]))
    stream = prove(model, shape)
    assert sum(stream.ledger().totals.values()) == sum(p.numel() for p in model.parameters())
    assert stream.ledger().total("unused") == 0


ARITHMETIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "product": lambda z, w: z * w,
    "quotient": lambda z, w: z / w,
    "conjugate": lambda z, w: z * w.conj() - 2 * z,
    "sum with a real": lambda z, w: z + w.real - 1,
    "complex number": lambda z, w: z * (1 + 2j) + w,
    "matrix product": lambda z, w: z.transpose(-1, -2) @ w,
    "moved": lambda z, w: torch.cat([z, w], -1).roll(1, -1)[..., 1:5],
    "masked": lambda z, w: torch.where(torch.arange(3).view(3, 1) > 1, z, w),
    "mean": lambda z, w: (z * w).mean(-1),
    "a number minus it": lambda z, w: 2j - z * w,
    "exponential": lambda z, w: torch.exp(z) * w,
    "logarithm": lambda z, w: torch.log(z + 2) * w,
    "reciprocal": lambda z, w: z * torch.reciprocal(w + 2),
    "square": lambda z, w: torch.square(z) + w,
    "square root": lambda z, w: torch.sqrt(z + 2) * w,
    "power": lambda z, w: z**3 + w,
    "powers": lambda z, w: (z + 2) ** torch.arange(z.shape[-1]) * w,
}


@pytest.mark.parametrize("f", ARITHMETIC.values(), ids=ARITHMETIC.keys())
def test_arithmetic(prove: Prove, f: Callable[[Tensor, Tensor], Tensor]) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        return f(torch.complex(s.a(x), s.b(x)), torch.view_as_complex(s.c(x).view(1, 3, 4, 2))).abs()

    model = Net(forward, a=nn.Linear(3, 4), b=nn.Linear(3, 4), c=nn.Linear(3, 8))
    same_function(model, torch.randn(1, 3, 3))
    prove(model, "1x3x3")


def test_a_complex_result_is_returned_as_its_parts(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: fft.fft(s.a(x)), a=nn.Linear(3, 4)), "1x3")
    assert [r for r in roles(stream) if r[1] == "output"] == [(2, "output", 4)] * 2


def test_what_is_not_known_of_complex_numbers_is_refused() -> None:
    model = Net(lambda s, x: torch.linalg.inv(torch.complex(s.a(x), s.a(x))).real, a=nn.Linear(3, 3))
    with pytest.raises(UnsupportedOperatorError, match="complex numbers"):
        wsgraph.compile(model, "3x3")


def test_a_transform_too_long_for_a_matrix_is_refused() -> None:
    model = Net(lambda s, x: s.a(fft.fft(x, dim=1).real), a=nn.Linear(3, 3))
    with pytest.raises(UnsupportedOperatorError, match="10,000 points"):
        wsgraph.compile(model, "1x10000x3")
