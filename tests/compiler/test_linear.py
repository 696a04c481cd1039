"""Linear layers, MLPs (Eq. 3 exactly), tied and shared weights, matrix products with a parameter."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, param, roles

Prove = Callable[..., wsgraph.EventStream]


def test_an_mlp_gives_the_events_of_eq_3(prove: Prove) -> None:
    sine = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    stream = prove(sine, "1x2")
    assert stream.num_timestamps == 3
    assert stream.num_nodes == 2 + 32 + 32 + 1
    assert stream.num_edges == 2 * 32 + 32 * 32 + 32
    events = [f"{e.t} {e.kind} {e.block}" for e in stream.events()]
    # At t: +V v^t and +E e^t; from t = 2 on also -V v^(t-2) and -E e^(t-1). Edge block e0 is e^1.
    assert events == [
        "0 +V 0",
        "1 +V 1", "1 +E 0",
        "2 +V 2", "2 +E 1", "2 -V 0", "2 -E 0",
        "3 +V 3", "3 +E 2", "3 -V 1", "3 -E 1",
    ]  # fmt: skip
    for t in (1, 2, 3):
        snapshot = stream.snapshot(t)
        assert [n.id for n in snapshot.node_blocks] == [t - 1, t]
        assert [e.id for e in snapshot.edge_blocks] == [t - 1]


def test_golden_text_of_a_tiny_mlp(prove: Prove) -> None:
    stream = prove(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), "1x2")
    assert stream.text() == (
        "t=0\n"
        "  +V  n0  input  2  input=input\n"
        "t=1\n"
        '  +V  n1  hidden  3  "0"  bias=0.bias[0; 3; 1]  activation=relu  op=aten.linear  sites=1\n'
        '  +E  e0  n0 -> n1  dense 3x2x1  "0"  0.weight[0; 3x2x1; 2,1,0]  op=aten.linear\n'
        "t=2\n"
        '  +V  n2  output  1  "2"  bias=2.bias[0; 1; 0]  op=aten.linear  sites=1\n'
        '  +E  e1  n1 -> n2  dense 1x3x1  "2"  2.weight[0; 1x3x1; 0,1,0]  op=aten.linear  via=relu\n'
        "  -V  n0\n"
        "  -E  e0\n"
    )


def test_a_linear_layer_without_bias_has_no_node_feature(prove: Prove) -> None:
    stream = prove(nn.Linear(3, 4, bias=False), "1x3")
    assert stream.node_blocks[1].features == {}


def test_a_bias_added_apart_is_the_same_bias(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: s.a(x) + s.b, a=nn.Linear(3, 4, bias=False), b=param(4)), "1x3")
    assert nodes(stream) == ["n0 t0 input 3", "n1 t1 output 4"]
    assert stream.node_blocks[1].features["bias"].name == "b"


def test_sequence_positions_share_the_layer(prove: Prove) -> None:
    assert edges(prove(nn.Linear(3, 4), "1x5x3")) == ["n0 -> n1 dense 4x3x1 weight"]


def test_embedding_and_head_tied(prove: Prove) -> None:
    embedding, head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
    head.weight = embedding.weight
    model = Net(lambda s, x: s.h(F.relu(s.m(s.e(x)))), e=embedding, m=nn.Linear(4, 4), h=head)
    stream = prove(model, "1x5:int64")
    assert edges(stream) == [
        "n0 -> n1 dense 4x7x1 e.weight",
        "n1 -> n2 dense 4x4x1 m.weight",
        "n2 -> n3 dense 7x4x1 e.weight",
    ]
    assert stream.ledger().total("tied") == 28


def test_a_layer_called_twice_lives_twice(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: s.a(F.relu(s.a(x))), a=nn.Linear(4, 4)), "1x4")
    assert edges(stream) == ["n0 -> n1 dense 4x4x1 a.weight", "n1 -> n2 dense 4x4x1 a.weight"]


def test_unreached_parameters_are_unused(prove: Prove) -> None:
    stream = prove(Net(lambda s, x: s.a(x), a=nn.Linear(3, 4), b=nn.Linear(3, 4)), "1x3")
    assert stream.ledger().total("unused") == 16


def test_several_inputs_and_outputs(prove: Prove) -> None:
    def forward(s: Net, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = F.relu(s.a(x) + s.b(y))
        return s.c(h), s.d(h)

    model = Net(forward, a=nn.Linear(3, 4), b=nn.Linear(2, 4), c=nn.Linear(4, 2), d=nn.Linear(4, 5))
    stream = prove(model, ["1x3", "1x2"])
    assert [n.split()[2] for n in nodes(stream)] == ["input", "input", "hidden", "hidden", "output", "output"]


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (
            Net(lambda s, x: torch.addmm(s.b, x, s.w), w=param(3, 4), b=param(4)),
            "1x3",
            "n0 -> n1 dense 4x3x1 w",
        ),
        (Net(lambda s, x: x @ s.w, w=param(3, 4)), "1x5x3", "n0 -> n1 dense 4x3x1 w"),
        (
            Net(lambda s, x: torch.einsum("bnd,dhk->bnhk", x, s.w).flatten(2), w=param(3, 2, 4)),
            "1x5x3",
            "n0 -> n1 dense 8x3x1 w",
        ),
        (
            Net(
                lambda s, x: (x.view(1, 2, 3).transpose(0, 1) @ s.w).transpose(0, 1).flatten(1),
                w=param(2, 3, 4),
            ),
            "1x6",
            "n0 -> n1 grouped 2x4x3x1 w",
        ),
        (
            Net(lambda s, x: torch.einsum("bhd,hde->bhe", x.view(1, 2, 4), s.w).flatten(1), w=param(2, 4, 3)),
            "1x8",
            "n0 -> n1 grouped 2x3x4x1 w",
        ),
        (
            Net(lambda s, x: torch.einsum("bnhk,hkd->bnd", x.view(1, 5, 2, 4), s.w), w=param(2, 4, 6)),
            "1x5x8",
            "n0 -> n1 dense 6x8x1 w",
        ),
    ],
    ids=["addmm", "matmul", "einsum", "batched", "einsum-grouped", "einsum-two-letters"],
)
def test_products_with_a_parameter(prove: Prove, model: nn.Module, inputs: str, expected: str) -> None:
    assert edges(prove(model, inputs)) == [expected]


def test_low_rank_adapters_run_beside_their_layer(prove: Prove) -> None:
    parts = {"w": nn.Linear(4, 5), "a": nn.Linear(4, 2, bias=False), "b": nn.Linear(2, 5, bias=False)}
    stream = prove(Net(lambda s, x: s.w(x) + s.b(s.a(x)), **parts), "1x4")
    assert edges(stream)[-1] == "n1 -> n3 one_to_one 5x1 learned residual"
    assert stream.num_timestamps == 2


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: torch.matmul(s.w, x),
        lambda s, x: torch.einsum("oc,bcl->bol", s.w, x),
        lambda s, x: torch.einsum("bcl,oc->bol", x, s.w),
    ],
    ids=["matmul", "einsum", "einsum, parameter second"],
)
def test_a_parameter_on_the_left_contracts_the_channels(prove: Prove, forward: Any) -> None:
    stream = prove(Net(forward, w=param(4, 3)), "1x3x5")
    assert roles(stream) == [(0, "input", 3), (1, "output", 4)]
