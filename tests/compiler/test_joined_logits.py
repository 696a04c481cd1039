"""Attention logits of several sets of keys in a row: attention sinks, two memories (DESIGN section 5)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, param, roles

Prove = Callable[..., wsgraph.EventStream]


def heads(x: Tensor, n: int) -> Tensor:
    batch, length, width = x.shape
    return x.view(batch, length, n, width // n).transpose(1, 2)


@pytest.mark.parametrize("n", [1, 2], ids=["one head", "two heads"])
def test_an_attention_sink_is_a_parameter_on_its_heads_logits(prove: Prove, n: int) -> None:
    """GPT-OSS: a logit a head joins the keys' before the softmax and is cut off after it."""

    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), n) for m in (s.q, s.k, s.v))
        both = torch.cat([q @ k.transpose(-1, -2), s.sinks.reshape(1, -1, 1, 1).expand(1, -1, 5, 1)], -1)
        both = both - both.max(-1, keepdim=True).values
        z = both.softmax(-1)[..., :-1] @ v
        return s.o(z.transpose(1, 2).flatten(2))

    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, sinks=param(n), o=nn.Linear(8, 6)), "1x5x6")
    logits = (2, "logits", n)
    assert roles(stream)[-5:] == [(1, "position", 1), logits, logits, (2, "z", 8), (3, "output", 6)]
    assert f"n4 -> n6 dense {n}x1x1 sinks" in edges(stream)
    assert any(line.startswith("n6 -> n7") and line.endswith("learned logit") for line in edges(stream))
    assert stream.ledger().total("lowered") == sum(p.numel() for p in stream.state_dict().values())


def test_logits_of_two_memories_meet_both_keys(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v, m, w = (heads(layer(x), 2) for layer in (s.q, s.k, s.v, s.m, s.w))
        p = torch.cat([q @ k.transpose(-1, -2), q @ m.transpose(-1, -2)], -1).softmax(-1)
        z = p[..., :5] @ v + p[..., 5:] @ w
        return s.o(z.transpose(1, 2).flatten(2))

    stream = prove(Net(forward, **{n: nn.Linear(6, 8) for n in "qkvmw"}, o=nn.Linear(8, 6)), "1x5x6")
    tags = [line.rpartition(" ")[2] for line in edges(stream)]
    assert tags.count("query") == 2
    assert tags.count("key") == 4
    assert tags.count("value") == 2
