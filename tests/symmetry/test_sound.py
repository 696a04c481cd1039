"""Networks built to fool the derivation: every group claimed must hold on the model, and few are left."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from tests.compiler.nets import Net, param
from tests.symmetry.proof import permutations, proved


def _linears(*sizes: int) -> dict[str, nn.Module]:
    return {name: nn.Linear(a, b) for name, a, b in zip("abcde", sizes, sizes[1:], strict=False)}


def _buffer(values: Tensor) -> Callable[..., Any]:
    return lambda s, x: s.b(s.a(x) * values.to(x))


def _half_activated(s: Net, x: Tensor) -> Any:
    left, right = s.a(x).chunk(2, -1)
    return s.b(torch.cat([torch.relu(left), right], -1))


def _shifted_channels(s: Net, x: Tensor) -> Any:
    y = s.a(x)
    left, right = y[:, :2], y[:, 2:]
    return s.b(torch.cat([left.roll(1, -1), right], 1))


def _flatten_both_ways(s: Net, x: Tensor) -> Any:
    y = s.a(x)
    return s.b(y.flatten(1)) + s.c(y.permute(0, 2, 3, 1).flatten(1))


def _added_transposed(s: Net, x: Tensor) -> Any:
    y = s.a(x)
    return s.b((y + y.transpose(2, 3)).flatten(1))


def _reversed_residual(s: Net, x: Tensor) -> Any:
    y = s.a(x)
    return s.b(y + y.flip(-1))


def _ranked(s: Net, x: Tensor) -> Any:
    y = s.a(x)
    return s.b(y * torch.arange(4, dtype=y.dtype))


def _repeated(s: Net, x: Tensor) -> Any:
    y = s.a(x)
    return s.b(torch.cat([y, torch.relu(y)], -1))


def _tied_both_ways(s: Net, x: Tensor) -> Any:
    return F.linear(torch.relu(F.linear(torch.tanh(s.a(x)), s.w)), s.w.t())


def _same_layer_twice(s: Net, x: Tensor) -> Any:
    return s.c(torch.relu(s.b(torch.relu(s.b(torch.relu(s.a(x)))))))


def _softmax_in_groups(s: Net, x: Tensor) -> Any:
    return s.b(s.a(x).view(-1, 2, 3).softmax(-1).flatten(1))


def _softmax_across_groups(s: Net, x: Tensor) -> Any:
    return s.b(s.a(x).view(-1, 2, 3).softmax(1).flatten(1))


def _alibi(s: Net, x: Tensor) -> Any:
    q, k, v = (t.view(1, 5, 2, 3).transpose(1, 2) for t in s.a(x).chunk(3, -1))
    slopes = torch.tensor([1.0, 0.5], dtype=x.dtype).view(1, 2, 1, 1) * torch.arange(5, dtype=x.dtype)
    return s.b(
        F.scaled_dot_product_attention(q, k, v, attn_mask=slopes.expand(1, 2, 5, 5))
        .transpose(1, 2)
        .flatten(2)
    )


def _crossed_heads(s: Net, x: Tensor) -> Any:
    q, k, v = (t.view(1, 5, 2, 3).transpose(1, 2) for t in s.a(x).chunk(3, -1))
    return s.b(F.scaled_dot_product_attention(q, k.flip(-1), v.flip(1)).transpose(1, 2).flatten(2))


def _pooled_over_neurons(s: Net, x: Tensor) -> Any:
    return s.b(F.max_pool1d(s.a(x), 2))


def _convolved_over_neurons(s: Net, x: Tensor) -> Any:
    return s.c(F.conv1d(s.a(x).unsqueeze(1), s.w).flatten(1))


def _picked(s: Net, x: Tensor) -> Any:
    return s.b(s.a(x)[:, [0, 0, 3, 2]])


def _position_in_the_input(s: Net, x: Tensor, positions: Tensor) -> Any:
    return s.b(
        s.a(x) * torch.cos(positions.unsqueeze(-1) * torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=x.dtype))
    )


def _attention_over_hidden_tokens(s: Net, x: Tensor) -> Any:
    tokens = torch.relu(s.a(x.transpose(1, 2))).transpose(1, 2)
    return s.d(F.scaled_dot_product_attention(s.b(tokens), s.c(tokens), tokens, is_causal=True))


def _direct_and_derived(s: Net, x: Tensor) -> Any:
    y = torch.tanh(F.linear(x, s.w))
    return s.b(torch.relu(F.linear(y, s.w * s.w.abs().amax(0))))


def _direct_and_irregular(s: Net, x: Tensor) -> Any:
    y = torch.relu(F.linear(s.a(x), s.w))
    return s.b(y) + s.c(torch.relu(F.linear(x[:, [0, 0, 1, 2]], s.w)))


_CASES: dict[str, tuple[nn.Module, tuple[str, ...], dict[tuple[str, int], int] | None]] = {
    "distinct constants": (Net(_buffer(torch.tensor([1.0, 2, 3, 4])), **_linears(3, 4, 2)), ("1x3",), {}),
    "equal constants": (
        Net(_buffer(torch.tensor([1.0, 2, 1, 2])), **_linears(3, 4, 2)), ("1x3",), {("neurons", 2): 2},
    ),
    "a position a neuron": (Net(_ranked, **_linears(3, 4, 2)), ("1x3",), {}),
    "half activated": (Net(_half_activated, **_linears(3, 6, 2)), ("1x3",), {("neurons", 3): 2}),
    "shifted channels": (
        Net(_shifted_channels, a=nn.Conv1d(3, 5, 1), b=nn.Conv1d(5, 2, 3)), ("1x3x6",),
        {("neurons", 2): 1, ("neurons", 3): 1},
    ),
    "flatten in both orders": (
        Net(_flatten_both_ways, a=nn.Conv2d(3, 4, 1), b=nn.Linear(24, 2), c=nn.Linear(24, 2)), ("1x3x2x3",),
        {("neurons", 4): 1},
    ),
    "sites meet transposed": (
        Net(_added_transposed, a=nn.Conv2d(3, 4, 1), b=nn.Linear(36, 2)), ("1x3x3x3",), {("neurons", 4): 1},
    ),
    "reversed residual": (Net(_reversed_residual, **_linears(3, 4, 2)), ("1x3",), None),
    "two roads from a neuron": (
        Net(_repeated, a=nn.Linear(3, 4), b=nn.Linear(8, 2)), ("1x3",), {("neurons", 4): 1},
    ),
    "a weight and its transpose": (
        Net(_tied_both_ways, a=nn.Linear(3, 4), w=param(5, 4)), ("1x3",), {("neurons", 5): 1},
    ),
    "a layer used twice": (Net(_same_layer_twice, **_linears(3, 4, 4, 2)), ("1x3",), {("neurons", 4): 1}),
    "softmax in groups": (
        Net(_softmax_in_groups, **_linears(3, 6, 2)), ("1x3",), {("neurons", 3): 2, ("groups", 2): 1},
    ),
    "softmax across groups": (
        Net(_softmax_across_groups, **_linears(3, 6, 2)), ("1x3",), {("neurons", 2): 3, ("groups", 3): 1},
    ),
    "group norm": (
        nn.Sequential(nn.Conv2d(3, 6, 1), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 2, 1)), ("1x3x4x4",),
        {("neurons", 3): 2, ("groups", 2): 1},
    ),
    "group norm without weights": (
        nn.Sequential(nn.Conv2d(3, 6, 1), nn.GroupNorm(2, 6, affine=False), nn.ReLU(), nn.Conv2d(6, 2, 1)),
        ("1x3x4x4",), {("neurons", 3): 2, ("groups", 2): 1},
    ),
    "a slope a head": (
        Net(_alibi, a=nn.Linear(3, 18), b=nn.Linear(6, 2)), ("1x5x3",),
        {("query_key", 3): 2, ("value", 3): 2},
    ),
    "keys reversed, values of the other head": (
        Net(_crossed_heads, a=nn.Linear(3, 18), b=nn.Linear(6, 2)), ("1x5x3",), None,
    ),
    "pooled over neurons": (
        Net(_pooled_over_neurons, a=nn.Linear(3, 4), b=nn.Linear(2, 2)), ("1x5x3",), {},
    ),
    "convolved over neurons": (
        Net(_convolved_over_neurons, a=nn.Linear(3, 5), w=param(2, 1, 3), c=nn.Linear(6, 2)), ("1x3",), None,
    ),
    "a neuron picked twice": (Net(_picked, **_linears(3, 4, 2)), ("1x3",), None),
    "positions come with the input": (
        Net(_position_in_the_input, **_linears(3, 4, 2)), ("1x5x3", "1x5"), {},
    ),
    "hidden tokens in an order": (
        Net(
            _attention_over_hidden_tokens,
            a=nn.Linear(5, 6), b=nn.Linear(3, 4), c=nn.Linear(3, 4), d=nn.Linear(3, 2),
        ),
        ("1x5x3",), None,
    ),
    "a weight and what is computed from it": (
        Net(_direct_and_derived, w=param(4, 4), b=nn.Linear(4, 2)), ("1x4",), None,
    ),
    "a weight read irregularly elsewhere": (
        Net(_direct_and_irregular, **_linears(3, 4), w=param(5, 4), b=nn.Linear(5, 2), c=nn.Linear(5, 2)),
        ("1x3",), None,
    ),
    "weight norm": (
        nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.ReLU(),
            nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), nn.ReLU(), nn.Linear(5, 2),
        ), ("1x3",), {("neurons", 4): 1, ("neurons", 5): 1},
    ),
    "prelu": (
        nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Linear(4, 2)), ("1x3",), {("neurons", 4): 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_claims_hold(name: str) -> None:
    model, inputs, expected = _CASES[name]
    found = permutations(proved(model, *inputs))
    assert expected is None or found == expected
