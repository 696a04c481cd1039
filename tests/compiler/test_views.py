"""Concatenation, splits, slices and shuffles are views of node blocks; no event."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes

Prove = Callable[..., wsgraph.EventStream]


def test_densenet(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        x = torch.cat([x, s.a(F.relu(s.n(x)))], 1)
        x = torch.cat([x, s.b(F.relu(s.m(x)))], 1)
        return s.o(x)

    parts = {"i": nn.Conv2d(3, 4, 3), "n": nn.BatchNorm2d(4), "a": nn.Conv2d(4, 2, 3, padding=1)}
    parts |= {"m": nn.BatchNorm2d(6), "b": nn.Conv2d(6, 2, 3, padding=1), "o": nn.Conv2d(8, 2, 1)}
    stream = prove(Net(forward, **parts), "1x3x6x6")
    assert edges(stream)[3] == "n1+n3 -> n4 one_to_one 6x1 m.weight"
    assert edges(stream)[5] == "n1+n3+n5 -> n6 dense 2x8x1 o.weight"


def test_u_net(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        skip = F.relu(s.down(x))
        deep = F.relu(s.middle(F.max_pool2d(skip, 2)))
        return s.up(torch.cat([F.interpolate(deep, scale_factor=2), skip], 1))

    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 2, 3)]
    stream = prove(Net(forward, down=layers[0], middle=layers[1], up=layers[2]), "1x2x8x8")
    assert edges(stream)[2] == "n2+n1 -> n3 dense 2x7x9 up.weight"


def test_shufflenet(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        left, right = s.i(x).chunk(2, 1)
        x = torch.cat([left, s.c(F.relu(s.b(right)))], 1)
        n, c, h, w = x.shape
        return s.o(x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))

    parts = {"i": nn.Conv2d(3, 8, 1), "b": nn.Conv2d(4, 4, 1), "c": nn.Conv2d(4, 4, 3, padding=1, groups=4)}
    stream = prove(Net(forward, **parts, o=nn.Conv2d(8, 3, 1)), "1x3x5x5")
    assert edges(stream)[1] == "n1[4:8] -> n2 dense 4x4x1 b.weight"
    interleaved = "+".join(f"n1[{k}:{k + 1}]+n3[{k}:{k + 1}]" for k in range(4))
    assert edges(stream)[3] == f"{interleaved} -> n4 dense 3x8x1 o.weight"


def test_channel_shuffle_before_a_grouped_convolution(prove: Prove) -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ChannelShuffle(3), nn.Conv2d(6, 6, 1, groups=2))
    sources = "+".join(f"n1[{k}:{k + 1}]" for k in (0, 2, 4, 1, 3, 5))
    assert edges(prove(model, "1x3x4x4"))[1] == f"{sources} -> n2 grouped 2x3x3x1 2.weight"


@pytest.mark.parametrize(
    ("view", "width", "expected"),
    [
        (lambda h: h[:, 1:5], 4, "n1[1:5] -> n2 dense 2x4x1"),
        (
            lambda h: torch.cat(h.split([1, 2, 3], -1)[::-1], -1),
            6,
            "n1[3:6]+n1[1:3]+n1[0:1] -> n2 dense 2x6x1",
        ),
        (lambda h: h.roll(1, -1), 6, "n1[5:6]+n1[0:5] -> n2 dense 2x6x1"),
        (lambda h: h[:, torch.tensor([3, 1, 0])], 3, "n1[3:4]+n1[1:2]+n1[0:1] -> n2 dense 2x3x1"),
        (lambda h: h[:, torch.tensor([3, 1, 1])], 3, "n1[1:2]+n1[3:4] -> n2 indexed 6x1"),
        (lambda h: h.repeat(1, 2), 12, "n1 -> n2 dense 2x6x2"),
        (lambda h: torch.stack(h.chunk(2, -1), 1).flatten(1), 6, "n1 -> n2 dense 2x6x1"),
        (lambda h: torch.stack(h.unbind(-1)[:2], -1), 2, "n1[0:2] -> n2 dense 2x2x1"),
        (lambda h: h.view(1, 2, 3).mean(1), 3, None),
        (lambda h: h.view(1, 2, 3).transpose(1, 2).reshape(1, 6), 6, None),
        (lambda h: F.pad(h, (0, 2)), 8, None),
    ],
    ids=[
        "slice",
        "split",
        "roll",
        "gather",
        "repeated",
        "tiled",
        "stack",
        "unbind",
        "mean",
        "transpose",
        "pad",
    ],
)
def test_views(prove: Prove, view: Callable[[Tensor], Tensor], width: int, expected: str | None) -> None:
    model = Net(lambda s, x: s.o(view(s.a(x))), a=nn.Linear(3, 6), o=nn.Linear(width, 2))
    stream = prove(model, "1x3")
    if expected is not None:
        assert edges(stream)[1] == f"{expected} o.weight"


def test_interleaved_stack(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.o(torch.stack([s.a(x), s.b(x)], -1).flatten(1)),
        a=nn.Linear(3, 2), b=nn.Linear(3, 2), o=nn.Linear(4, 2),
    )  # fmt: skip
    assert edges(prove(model, "1x3"))[2] == "n1[0:1]+n2[0:1]+n1[1:2]+n2[1:2] -> n3 dense 2x4x1 o.weight"


def test_pixel_shuffle_sums_the_neurons_that_become_pixels(prove: Prove) -> None:
    layers = [
        nn.Conv2d(3, 8, 1),
        nn.PixelShuffle(2),
        nn.Conv2d(2, 4, 1),
        nn.PixelUnshuffle(2),
        nn.Conv2d(16, 2, 1),
    ]
    stream = prove(nn.Sequential(*layers), "1x3x4x4")
    assert nodes(stream)[2] == "n2 t1 sum 2"
    assert edges(stream)[3] == "n3 -> n4 dense 2x4x4 4.weight"


def test_channels_that_a_shuffle_spread_over_positions_are_sources_once(prove: Prove) -> None:
    stream = prove(nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2), nn.Conv2d(2, 4, 1)), "1x3x4x4")
    assert "n1 -> n2 grouped 2x1x4x1 learned reduce" in edges(stream)
