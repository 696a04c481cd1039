"""Logits that queries give with a table of relative positions: one logit node a head (DESIGN section 5)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, param, roles
from wsgraph.frontends.libraries import import_library

Prove = Callable[..., wsgraph.EventStream]


def heads(x: Tensor, n: int) -> Tensor:
    batch, length, width = x.shape
    return x.view(batch, length, n, width // n).transpose(1, 2)


def attend(s: Net, x: Tensor, relative: Callable[[Tensor], Tensor]) -> Any:
    q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
    z = (q @ k.transpose(-1, -2) + relative(q)).softmax(-1) @ v
    return s.o(z.transpose(1, 2).flatten(2))


def shaw(s: Net, x: Tensor) -> Any:
    """Each pair's row of the table, contracted with the query (Shaw et al. 2018)."""
    rows = s.p[torch.arange(5)[:, None] - torch.arange(5)[None] + 4]
    return attend(s, x, lambda q: torch.einsum("bhid,ijd->bhij", q, rows))


def skewed(s: Net, x: Tensor) -> Any:
    """All rows of the table first, then shifted into place by padding and reshaping (BoTNet)."""

    def relative(q: Tensor) -> Tensor:
        logits = nn.functional.pad(q @ s.p.T, (0, 1)).flatten(2)
        return nn.functional.pad(logits, (0, 4)).view(1, 2, 6, 9)[:, :, :5, 4:]

    return attend(s, x, relative)


@pytest.mark.parametrize("forward", [shaw, skewed])
def test_a_table_of_relative_positions(prove: Prove, forward: Callable[..., Tensor]) -> None:
    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, p=param(9, 4), o=nn.Linear(8, 6)), "1x5x6")
    assert roles(stream)[-4:] == [(2, "hidden", 18), (2, "logits", 2), (2, "z", 8), (3, "output", 6)]
    assert "n4 -> n5 grouped 2x1x9x1 learned reduce" in edges(stream)
    assert "n5 -> n6 grouped 2x4x1x1 learned logit" in edges(stream)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain logits", "logits with nodes"])
def test_a_neuron_a_key_on_the_logits(prove: Prove, scaled: bool) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
        logits = q @ k.transpose(-1, -2)
        logits = (logits * s.t if scaled else logits) + s.b(x).unsqueeze(1)
        return s.o((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))

    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    parts |= {"b": nn.Linear(6, 5), "o": nn.Linear(8, 6)}
    stream = prove(Net(forward, **parts, **({"t": param(2, 1, 1)} if scaled else {})), "1x5x6")
    assert any(line.endswith("grouped 2x1x5x1 learned reduce") for line in edges(stream))
    assert roles(stream)[-3:] == [(2, "logits", 2), (2, "z", 8), (3, "output", 6)]


def test_a_gate_that_is_no_position_keeps_its_neurons(prove: Prove) -> None:
    """One logit times a vector is a gate of the vector's neurons."""

    def forward(s: Net, x: Tensor) -> Any:
        score = s.q(x).unsqueeze(1) @ s.k(x).unsqueeze(2)
        return s.o(score.squeeze(-1) * s.v(x))

    parts = {"q": nn.Linear(6, 4), "k": nn.Linear(6, 4), "v": nn.Linear(6, 5), "o": nn.Linear(5, 3)}
    stream = prove(Net(forward, **parts), "2x6")
    assert (2, "product", 5) in [(t, r if r != "logits" else "product", n) for t, r, n in roles(stream)]


def test_timm_attention_with_relative_positions(prove: Prove) -> None:
    import_library("timm")
    from timm.layers.bottleneck_attn import BottleneckAttn
    from timm.layers.halo_attn import HaloAttn
    from timm.models.vision_transformer_sam import Attention as SamAttention

    models = {
        "1x3x3x4": nn.Sequential(nn.Conv2d(3, 8, 1), BottleneckAttn(8, feat_size=(3, 4), num_heads=2)),
        "1x3x4x4": nn.Sequential(
            nn.Conv2d(3, 8, 1), HaloAttn(8, num_heads=2, dim_head=4, block_size=2, halo_size=1)
        ),
        "1x3x4x3": nn.Sequential(
            nn.Linear(3, 8), SamAttention(8, num_heads=2, use_rel_pos=True, input_size=(3, 4))
        ),
    }
    for shape, model in models.items():
        for p in model.parameters():
            nn.init.normal_(p, std=0.3)
        stream = prove(model, shape)
        assert [n for _, role, n in roles(stream) if role == "logits"] == [2]
        assert [n for _, role, n in roles(stream) if role == "z"] == [8]


def test_pooled_attention_with_a_table_an_axis(prove: Prove) -> None:
    """MViTv2: queries meet tables of heights and of widths; nodes stay a few a head."""
    import_library("timm")
    from timm.models.mvitv2 import MultiScaleAttention

    attention = MultiScaleAttention(
        8, 8, (4, 4), num_heads=2, has_cls_token=False, kernel_q=(3, 3), kernel_kv=(3, 3), stride_kv=(2, 2)
    )
    for p in attention.parameters():
        nn.init.normal_(p, std=0.3)
    stream = prove(Net(lambda s, x: s.m(x, (4, 4))[0], m=attention), "1x16x8")
    assert [n for _, role, n in roles(stream) if role == "logits"] == [2, 2]
    assert [n for _, role, n in roles(stream) if role == "z"] == [8]
