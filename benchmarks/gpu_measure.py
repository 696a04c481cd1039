"""Times, memory, errors and limits on a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages.reference import ReferenceMessage
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton.ladder import expand, ladder
from wsgraph_encoders.triton.level import choose_level
from wsgraph_encoders.triton.message import TritonMessage
from wsgraph_encoders.triton.single import single

MIB = 1 << 20
SETTINGS = {"tf32x3": "highest", "tf32": "high", "bf16": "medium"}


def milliseconds(run: Callable[[], object], warm_up: int = 3, repeats: int = 20) -> float:
    """Median of several runs by CUDA events."""
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(repeats):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop))
    return sorted(times)[len(times) // 2]


def peak_of(run: Callable[[], object]) -> float:
    """Memory that a run takes beyond what is there before, MiB."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / MIB


@contextmanager
def precise(precision: str) -> Iterator[None]:
    """Products in a precision: the kernels' and torch's own."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(SETTINGS[precision])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Limits(NamedTuple):
    """What this GPU reaches on random data.

    Attributes:
        matmul: bf16 products of 8192 x 8192 matrices, flop/s.
        copy: bytes/s, read and written, of a copy that no cache holds.
    """

    matmul: float
    copy: float

    @classmethod
    def measured(cls) -> "Limits":
        """Measured now."""
        n = 8192
        a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        seconds = milliseconds(lambda: a @ b) / 1e3
        source = torch.randn(1 << 30, device="cuda")
        target = torch.empty_like(source)
        moved = 2 * source.numel() * source.element_size()
        return cls(2 * n**3 / seconds, moved / (milliseconds(lambda: target.copy_(source)) / 1e3))


def kernel_figures(
    rows: int, sources: int, width: int, precision: str, limits: Limits
) -> dict[str, float | str]:
    """The single-edge kernel on bf16 weights of a usual size, beside the limits."""
    torch.manual_seed(0)
    weights = [_weights(rows, sources) for _ in range(4)]  # in turn: together more than the cache holds
    u = torch.randn(1, 1, sources, width, device="cuda")
    g = _scalar_map(width)
    coefficients, fourier, scale = expand(g, ladder(g.frequencies))
    level = choose_level(weights[0], scale)
    terms = int(scale.rows[level[0, 0], 1])
    turn = iter(range(1 << 30))

    def run() -> Tensor:
        w = weights[next(turn) % len(weights)]
        return single(w, u, coefficients, fourier, *scale[:3], level, precision)

    seconds = milliseconds(run) / 1e3
    rate, read = 2 * rows * sources * width * terms / seconds, 2 * rows * sources / seconds
    return {
        "case": f"kernel {rows}x{sources} hidden {width}",
        "precision": precision,
        "terms": terms,
        "ms": 1e3 * seconds,
        "TFLOP/s": rate / 1e12,
        "of matmul": rate / limits.matmul,
        "TB/s of weights": read / 1e12,
        "of copy": read / limits.copy,
    }


def accuracy() -> list[dict[str, float | str]]:
    """Relative distances from the naive formula in float64, of sums and of gradients."""
    found: list[dict[str, float | str]] = []
    for precision in ("ieee", "tf32x3", "tf32", "bf16"):
        torch.manual_seed(0)
        wiring = DenseWiring(1, 130, 257)
        w = _weights(130, 257).float().unsqueeze(-1).requires_grad_()
        u = torch.randn(1, 257, 65, device="cuda").requires_grad_()
        edge = _scalar_map(65)
        exact_leaves = [x.detach().double().requires_grad_() for x in (w, u, edge.weight, edge.bias)]
        exact_edge = ScalarMap(edge.frequencies.double(), *exact_leaves[2:])
        expected = ReferenceMessage().single(wiring, exact_leaves[0], exact_leaves[1], exact_edge)
        got = TritonMessage(precision).single(wiring, w, u, edge)
        upstream = torch.randn_like(got)
        grads = torch.autograd.grad(got, (w, u, edge.weight, edge.bias), upstream)
        exact = torch.autograd.grad(expected, exact_leaves, upstream.double())
        names = ("weights", "sources", "W_m1", "bias")
        row: dict[str, float | str] = {"case": f"accuracy {precision}", "sum": error_of(got, expected)}
        row |= {name: error_of(a, b) for name, a, b in zip(names, grads, exact, strict=True)}
        found.append(row)
    return found


def error_of(got: Tensor, expected: Tensor) -> float:
    """Distance over norm."""
    got, expected = got.detach().double(), expected.detach().double()
    return float((got - expected).norm() / expected.norm())


def _weights(rows: int, sources: int) -> Tensor:
    w = torch.randn(1, 1, rows, sources, device="cuda") / sources**0.5
    return w.to(torch.bfloat16)


def _scalar_map(width: int) -> ScalarMap:
    """At the default encoder's sizes: 64 frequencies of standard deviation 3."""
    b = 3 * torch.randn(64, device="cuda")
    weight, bias = torch.randn(width, 128, device="cuda") / 128**0.5, torch.randn(width, device="cuda")
    return ScalarMap(b, weight.requires_grad_(), bias.requires_grad_())
