"""Convolutions: one edge a kernel position; Flatten gives parallel edges a pair (App. F.1)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes

Prove = Callable[..., wsgraph.EventStream]


@pytest.mark.parametrize(
    ("layer", "inputs", "expected"),
    [
        (nn.Conv1d(3, 4, 3), "1x3x9", "dense 4x3x3"),
        (nn.Conv2d(3, 4, (3, 2), stride=2), "1x3x8x8", "dense 4x3x6"),
        (nn.Conv3d(2, 4, 2), "1x2x3x3x3", "dense 4x2x8"),
        (nn.Conv2d(3, 4, 3, dilation=2), "1x3x8x8", "dense 4x3x9"),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), "1x3x6x6", "dense 4x3x9"),
        (nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect"), "1x3x6x6", "dense 4x3x9"),
        (nn.Conv2d(4, 6, 3, groups=2), "1x4x5x5", "grouped 2x3x2x9"),
        (nn.Conv1d(4, 4, 3, groups=4), "1x4x9", "grouped 4x1x1x3"),
        (nn.Conv2d(4, 8, 3, groups=4), "1x4x5x5", "grouped 4x2x1x9"),
        (nn.ConvTranspose1d(3, 4, 3, stride=2), "1x3x5", "dense 4x3x3"),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), "1x4x5x5", "grouped 2x3x2x9"),
        (nn.ConvTranspose2d(6, 6, 2, groups=6), "1x6x5x5", "grouped 6x1x1x4"),
        (nn.ConvTranspose3d(2, 3, 2), "1x2x3x3x3", "dense 3x2x8"),
    ],
    ids=str,
)
def test_one_edge_a_kernel_position(prove: Prove, layer: nn.Module, inputs: str, expected: str) -> None:
    stream = prove(layer, inputs)
    assert edges(stream) == [f"n0 -> n1 {expected} weight"]
    assert set(stream.node_blocks[1].features) == {"bias"}
    assert stream.num_timestamps == 1


def test_depthwise_separable(prove: Prove) -> None:
    stream = prove(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 6, 1)), "1x4x5x5")
    assert edges(stream) == ["n0 -> n1 grouped 4x1x1x9 0.weight", "n1 -> n2 dense 6x4x1 1.weight"]


def test_flatten_gives_a_parallel_edge_a_pixel(prove: Prove) -> None:
    head = nn.Linear(4 * 12, 5)
    stream = prove(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), head), "1x3x5x6")
    assert edges(stream)[1] == "n1 -> n2 dense 5x4x12 2.weight"
    edge = stream.edge_blocks[1]
    feature = stream.feature(edge.feature)  # type: ignore[arg-type]  # a parameter view
    assert torch.equal(feature, head.weight.detach().view(5, 4, 12))


def test_channel_last_flatten_agrees_with_channel_first(prove: Prove) -> None:
    conv, head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 12, 5)
    last = Net(lambda s, x: s.l(s.c(x).permute(0, 2, 3, 1).flatten(1)), c=conv, l=head)
    stream = prove(last, "1x3x5x6")
    assert edges(stream)[1] == "n1 -> n2 dense 5x4x12 l.weight"
    feature = stream.feature(stream.edge_blocks[1].feature)  # type: ignore[arg-type]  # a parameter view
    # The same pixel is the same parallel edge, whichever way the model flattens.
    assert torch.equal(feature, head.weight.detach().view(5, 12, 4).transpose(1, 2))


def test_padding_before_flatten_is_no_neuron_of_the_layer(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.l(F.pad(s.c(x), (1, 1)).flatten(1)), c=nn.Conv2d(3, 4, 3), l=nn.Linear(4 * 4 * 6, 5)
    )
    prove(model, "1x3x6x6")


def test_pooling_and_upsampling_change_sites_only(prove: Prove) -> None:
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")]
    layers += [nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.Conv2d(4, 2, 1)]
    stream = prove(nn.Sequential(*layers), "1x3x8x8")
    assert nodes(stream) == ["n0 t0 input 3", "n1 t1 hidden 4", "n2 t2 output 2"]
    assert "max_pool2d" in str(stream.edge_blocks[1].attrs["via"])


def test_global_pooling_leaves_one_edge_a_pair(prove: Prove) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert edges(prove(model, "1x3x6x6"))[1] == "n1 -> n2 dense 2x4x1 3.weight"


def test_unfolded_patches_are_a_convolution(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.o(F.unfold(s.c(x), 2).transpose(1, 2)), c=nn.Conv2d(3, 4, 1), o=nn.Linear(16, 2)
    )
    assert edges(prove(model, "1x3x4x4"))[1] == "n1 -> n2 dense 2x4x4 o.weight"


def test_neurons_laid_out_as_pixels_are_summed_before_a_convolution(prove: Prove) -> None:
    model = nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 3, 2))
    assert edges(prove(model, "1x3")) == [
        "n0 -> n1 dense 16x3x1 0.weight",
        "n1 -> n2 grouped 4x1x4x1 learned reduce",
        "n2 -> n3 dense 3x4x4 2.weight",
    ]


def test_window_partitions_and_rolls_keep_channels(prove: Prove) -> None:
    def windows(s: Net, x: torch.Tensor) -> Any:
        parts = s.a(x).view(1, 2, 2, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(4, 4, 6)
        return s.o(parts.roll(1, 1))

    model = Net(windows, a=nn.Linear(3, 6), o=nn.Linear(6, 2))
    assert edges(prove(model, "1x4x4x3"))[1] == "n1 -> n2 dense 2x6x1 o.weight"
