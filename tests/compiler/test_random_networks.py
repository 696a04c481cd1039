"""Random compositions of modules: whatever the mixture, wiring and ledger hold."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.compiler.nets import Net
from wsgraph.testing import assert_ledger, assert_wiring

RANDOM = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Piece = tuple[nn.Module, int]
"""A module and the number of channels that it gives."""


class Residual(nn.Module):
    def __init__(self, body: nn.Module, *, activate: bool) -> None:
        super().__init__()
        self.body = body
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + (F.relu(y) if self.activate else y)


def _conv(draw: Any, n: int) -> Piece:
    groups = draw(st.sampled_from([g for g in (1, 2, n) if n % g == 0]))
    out = groups * draw(st.integers(1, 3))
    kernel = draw(st.integers(1, 3))
    return nn.Conv2d(n, out, kernel, padding=1, groups=groups, bias=draw(st.booleans())), out


def _norm(draw: Any, n: int) -> Piece:
    return draw(
        st.sampled_from([nn.BatchNorm2d(n), nn.GroupNorm(1, n), nn.InstanceNorm2d(n, affine=True)])
    ), n


def _activation(draw: Any, n: int) -> Piece:
    return draw(st.sampled_from([nn.ReLU(), nn.GELU(), nn.SiLU(), nn.PReLU(n), nn.Tanh(), nn.Dropout()])), n


def _residual(draw: Any, n: int) -> Piece:
    body = nn.Sequential(nn.Conv2d(n, n, 3, padding=1), nn.BatchNorm2d(n))
    return Residual(body, activate=draw(st.booleans())), n


def _concat(draw: Any, n: int) -> Piece:
    more = draw(st.integers(1, 3))
    return Net(lambda s, x: torch.cat([x, s.c(x)], 1), c=nn.Conv2d(n, more, 1)), n + more


def _gate(_draw: Any, n: int) -> Piece:
    parts = {"c": nn.Conv2d(n, n, 1)}
    return Net(lambda s, x: x * torch.sigmoid(s.c(F.adaptive_avg_pool2d(x, 1))), **parts), n


def _shuffle(draw: Any, n: int) -> Piece:
    cut = draw(st.integers(0, n - 1))
    return Net(lambda _s, x: torch.cat([x[:, cut:], x[:, :cut]], 1)), n


def _pool(draw: Any, n: int) -> Piece:
    return draw(st.sampled_from([nn.MaxPool2d(2, 1), nn.AvgPool2d(3, 1, 1), nn.Upsample(scale_factor=2)])), n


FEATURE_MAPS: tuple[Callable[[Any, int], Piece], ...] = (
    _conv, _norm, _activation, _residual, _concat, _gate, _shuffle, _pool,
)  # fmt: skip


def _head(draw: Any, n: int, shape: torch.Size) -> nn.Module:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(n * shape[2] * shape[3], 3))
    tokens = Net(lambda s, x: s.o(x.flatten(2).transpose(1, 2)), o=nn.Linear(n, 3))
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 3))
    head: nn.Module = draw(st.sampled_from([flat, tokens, pooled]))
    return head


@st.composite
def convolutional(draw: Any) -> nn.Module:
    torch.manual_seed(draw(st.integers(0, 99)))
    channels = 2
    layers: list[nn.Module] = []
    for piece in draw(st.lists(st.sampled_from(FEATURE_MAPS), min_size=1, max_size=5)):
        layer, channels = piece(draw, channels)
        layers.append(layer)
    body = nn.Sequential(*layers).eval()
    shape = body(torch.zeros(1, 2, 5, 4)).shape
    return nn.Sequential(body, _head(draw, channels, shape))


def _attention(draw: Any, n: int) -> nn.Module:
    heads = draw(st.sampled_from([1, 2]))

    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (t.view(1, 5, heads, n // heads).transpose(1, 2) for t in s.w(x).chunk(3, -1))
        return s.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    return Net(forward, w=nn.Linear(n, 3 * n, bias=draw(st.booleans())), o=nn.Linear(n, n))


def _feedforward(draw: Any, n: int) -> nn.Module:
    width = draw(st.integers(1, 5))
    plain = nn.Sequential(nn.Linear(n, width), nn.GELU(), nn.Linear(width, n))
    parts = {"a": nn.Linear(n, width), "b": nn.Linear(n, width), "o": nn.Linear(width, n)}
    chosen: nn.Module = draw(
        st.sampled_from([plain, Net(lambda s, x: s.o(F.silu(s.a(x)) * s.b(x)), **parts)])
    )
    return chosen


def _token_mixing(_draw: Any, _n: int) -> nn.Module:
    return Net(lambda s, x: s.t(x.transpose(1, 2)).transpose(1, 2), t=nn.Linear(5, 5))


@st.composite
def transformers(draw: Any) -> nn.Module:
    torch.manual_seed(draw(st.integers(0, 99)))
    width = 4
    layers: list[nn.Module] = [nn.Linear(3, width)]
    for piece in draw(
        st.lists(st.sampled_from([_attention, _feedforward, _token_mixing]), min_size=1, max_size=3)
    ):
        norm = draw(st.sampled_from([nn.LayerNorm(width), nn.RMSNorm(width), nn.Identity()]))
        body = nn.Sequential(norm, piece(draw, width))
        layers.append(Residual(body, activate=False) if draw(st.booleans()) else body)
    return nn.Sequential(*layers, nn.Linear(width, 2))


@RANDOM
@given(convolutional())
def test_random_convolutional_networks(model: nn.Module) -> None:
    assert_wiring(model, "1x2x5x4", samples=2)
    assert_ledger(model, "1x2x5x4")


@RANDOM
@given(transformers())
def test_random_transformers(model: nn.Module) -> None:
    assert_wiring(model, "1x5x3", samples=2)
    assert_ledger(model, "1x5x3")
