"""Residual sums re-add their source nodes (App. F.1), or meet in a block of their own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes

Prove = Callable[..., wsgraph.EventStream]


def test_identity(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: s.o(s.a(x) + x), a=nn.Linear(4, 4), o=nn.Linear(4, 2)), "1x4")
    assert edges(stream) == [
        "n0 -> n1 dense 4x4x1 a.weight",
        "n0 -> n1 one_to_one 4x1 learned residual",
        "n1 -> n2 dense 2x4x1 o.weight",
    ]


def _two_layers(s: Net, x: Tensor) -> Any:
    x = s.i(x)
    return s.o(s.b(F.relu(s.a(x))) + x)


def _two_layer_net() -> Net:
    parts = {"i": nn.Linear(3, 4), "a": nn.Linear(4, 5), "b": nn.Linear(5, 4), "o": nn.Linear(4, 2)}
    return Net(_two_layers, **parts)


def test_the_source_is_added_again(prove: Prove) -> None:
    stream = prove(_two_layer_net(), "1x3")
    assert edges(stream)[3] == "n1 -> n3 one_to_one 4x1 learned residual x2"
    life = [f"{e.t} {e.kind}" for e in stream.events() if e.block == 1 and e.kind.endswith("V")]
    # n1 is used at t=2 and again at t=3, without a gap: it stays, and is deleted after that.
    assert life == ["1 +V", "4 -V"]


def test_the_source_of_a_long_residual_is_deleted_and_added_again(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        return s.o(s.c(F.relu(s.b(F.relu(s.a(x))))) + x)

    parts = {name: nn.Linear(4, 4) for name in "iabco"}
    stream = prove(Net(forward, **parts), "1x4")
    assert edges(stream)[4] == "n1 -> n4 one_to_one 4x1 learned residual x3"
    life = [f"{e.t} {e.kind}" for e in stream.events() if e.block == 1 and e.kind.endswith("V")]
    assert life == ["1 +V", "3 -V", "4 +V", "5 -V"]


def test_golden_text_of_a_residual_block(prove: Prove) -> None:
    text = prove(_two_layer_net(), "1x3").text()
    assert text[text.index("t=3") :] == (
        "t=3\n"
        '  +V  n3  hidden  4  "b"  bias=b.bias[0; 4; 1]  op=aten.linear  sites=1\n'
        '  +E  e2  n2 -> n3  dense 4x5x1  "b"  b.weight[0; 4x5x1; 5,1,0]  op=aten.linear  via=relu\n'
        "  +E  e3  n1 -> n3  one_to_one 4x1  learned residual x2  op=aten.add\n"
        "  -E  e1\n"
        "t=4\n"
        '  +V  n4  output  2  "o"  bias=o.bias[0; 2; 1]  op=aten.linear  sites=1\n'
        '  +E  e4  n3 -> n4  dense 2x4x1  "o"  o.weight[0; 2x4x1; 4,1,0]  op=aten.linear\n'
        "  -V  n1\n"
        "  -V  n2\n"
        "  -E  e2\n"
        "  -E  e3\n"
    )


def _post_activation(s: Net, x: Tensor) -> Any:
    x = F.relu(s.n0(s.i(x)))
    shortcut = s.nd(s.d(x)) if hasattr(s, "d") else x
    return s.o(F.relu(s.n2(s.b(F.relu(s.n1(s.a(x))))) + shortcut))


def _resnet_parts(width: int, stride: int) -> dict[str, nn.Module]:
    return {
        "i": nn.Conv2d(3, 4, 3),
        "n0": nn.BatchNorm2d(4),
        "a": nn.Conv2d(4, width, 3, padding=1, stride=stride),
        "n1": nn.BatchNorm2d(width),
        "b": nn.Conv2d(width, width, 3, padding=1),
        "n2": nn.BatchNorm2d(width),
        "o": nn.Conv2d(width, 2, 1),
    }


def test_post_activation_block(prove: Prove) -> None:
    stream = prove(Net(_post_activation, **_resnet_parts(4, 1)), "1x3x8x8")
    assert "n2 -> n6 one_to_one 4x1 learned residual x2" in edges(stream)
    assert stream.num_timestamps == 4


def test_downsampling_block(prove: Prove) -> None:
    shortcut = {"d": nn.Conv2d(4, 6, 1, stride=2), "nd": nn.BatchNorm2d(6)}
    stream = prove(Net(_post_activation, **_resnet_parts(6, 2), **shortcut), "1x3x8x8")
    residual = next(e for e in stream.edge_blocks if "residual" in str(e.feature))
    source = stream.node_blocks[residual.src.parts[0].block]
    assert (source.attrs["scope"], source.t) == ("nd", 2)
    assert stream.num_timestamps == 4


def test_pre_activation_blocks_chain(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        x = x + s.a(F.relu(s.n(x)))
        x = x + s.b(F.relu(s.m(x)))
        return s.o(x)

    parts: dict[str, nn.Module] = {name: nn.Linear(4, 4) for name in "iabo"}
    stream = prove(Net(forward, **parts, n=nn.LayerNorm(4), m=nn.LayerNorm(4)), "1x4")
    residuals = [line for line in edges(stream) if "residual" in line]
    assert residuals == [
        "n1 -> n3 one_to_one 4x1 learned residual",
        "n3 -> n5 one_to_one 4x1 learned residual",
    ]


def test_three_branches_and_the_identity(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        return s.o(s.a(x) + s.b(x) + s.c(x) + x)

    stream = prove(Net(forward, **{name: nn.Linear(4, 4) for name in "iabco"}), "1x4")
    assert len([line for line in edges(stream) if "residual" in line]) == 3
    assert stream.num_timestamps == 3


def test_an_activation_before_the_sum_makes_a_sum_block(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        return s.o(x + F.relu(s.a(x)))

    stream = prove(Net(forward, **{name: nn.Linear(4, 4) for name in "iao"}), "1x4")
    assert nodes(stream)[3] == "n3 t2 sum 4"
    assert edges(stream)[2:4] == [
        "n1 -> n3 one_to_one 4x1 learned residual",
        "n2 -> n3 one_to_one 4x1 learned residual",
    ]


def test_a_second_use_before_the_sum_makes_a_sum_block(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        h = s.a(x)
        return s.o(torch.cat([x + h, h], -1))

    stream = prove(Net(forward, i=nn.Linear(4, 4), a=nn.Linear(4, 4), o=nn.Linear(8, 2)), "1x4")
    assert nodes(stream)[3] == "n3 t2 sum 4"


def _flipped(s: Net, x: Tensor) -> Any:
    h = s.a(x)
    return s.o(h + h.flip(-1) + s.b(x))


def _doubled(s: Net, x: Tensor) -> Any:
    h = s.a(x)
    return s.o(h + h + s.b(x))


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: s.o(s.a(x) - s.b(x)),
        lambda s, x: s.o(s.a(x).add_(s.b(x)).relu_()),
        lambda s, x: s.o(F.pad(s.a(x)[:, :3], (0, 1)) + s.b(x)),
        lambda s, x: s.o(torch.cat([s.a(x)[:, :2] + s.b(x)[:, 2:], s.b(x)[:, :2]], 1)),
        _flipped,
        _doubled,
    ],
    ids=["difference", "in-place", "padded", "slices", "flipped", "doubled"],
)
def test_other_sums(prove: Prove, forward: Callable[..., Tensor]) -> None:
    prove(Net(forward, a=nn.Linear(3, 4), b=nn.Linear(3, 4), o=nn.Linear(4, 2)), "1x3")
