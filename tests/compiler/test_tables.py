"""Tables: embeddings, positions, class tokens, learned queries; and layers that mix positions."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, param

Prove = Callable[..., wsgraph.EventStream]


def test_an_embedding_is_a_layer_from_the_vocabulary(prove: Prove) -> None:
    stream = prove(nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 3)), "1x5:int64")
    assert nodes(stream) == ["n0 t0 input 7", "n1 t1 hidden 4", "n2 t2 output 3"]
    assert edges(stream)[0] == "n0 -> n1 dense 4x7x1 0.weight"


def test_token_and_position_embeddings(prove: Prove) -> None:
    parts = {"e": nn.Embedding(7, 4), "p": nn.Embedding(5, 4), "o": nn.Linear(4, 3)}
    stream = prove(Net(lambda s, x: s.o(s.e(x) + s.p(torch.arange(5))), **parts), "1x5:int64")
    assert nodes(stream)[:2] == ["n0 t0 input 7", "n1 t0 position 5"]
    assert edges(stream)[2] == "n2 -> n3 one_to_one 4x1 learned residual"
    assert stream.num_timestamps == 2


def test_a_position_table_longer_than_the_example(prove: Prove) -> None:
    parts = {"e": nn.Embedding(7, 4), "p": nn.Embedding(90, 4), "o": nn.Linear(4, 3)}
    stream = prove(Net(lambda s, x: s.o(s.e(x) + s.p(torch.arange(5))), **parts), "1x5:int64")
    assert nodes(stream)[:2] == ["n0 t0 input 7", "n1 t0 position 90"]


def test_queries_of_zeros_are_constants_whatever_they_are_shaped_like(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        queries = torch.zeros_like(s.p)
        return s.o(s.v(queries) + s.p + s.a(x))

    parts = {"a": nn.Linear(3, 4), "v": nn.Linear(4, 4), "o": nn.Linear(4, 2)}
    stream = prove(Net(forward, **parts, p=param(5, 4)), "1x5x3")
    assert not stream.structure.derived


def test_a_position_table(prove: Prove) -> None:
    model = Net(lambda s, x: s.o(s.a(x) + s.p), a=nn.Linear(3, 4), p=param(1, 5, 4), o=nn.Linear(4, 3))
    stream = prove(model, "1x5x3")
    assert edges(stream)[:2] == ["n0 -> n2 dense 4x3x1 a.weight", "n1 -> n2 dense 4x5x1 p"]
    assert nodes(stream)[1] == "n1 t0 position 5"


def test_rows_of_a_table_that_no_position_uses_are_unused(prove: Prove) -> None:
    model = Net(lambda s, x: s.a(x) + s.p[:, :5], a=nn.Linear(3, 4), p=param(1, 7, 4))
    stream = prove(model, "1x5x3")
    assert edges(stream)[1] == "n1 -> n2 dense 4x5x1 p"
    assert stream.ledger().total("unused") == 8


def test_position_tables_of_rows_and_columns(prove: Prove) -> None:
    parts = {"c": nn.Conv2d(3, 4, 1), "r": param(1, 4, 5, 1), "q": param(1, 4, 1, 6)}
    stream = prove(Net(lambda s, x: s.c(x) + s.r + s.q, **parts), "1x3x5x6")
    assert edges(stream)[1:] == ["n1 -> n3 dense 4x5x1 r", "n2 -> n3 dense 4x6x1 q"]


def test_a_class_token_joins_the_positions(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        return s.o((torch.cat([s.t.expand(1, -1, -1), s.a(x)], 1) + s.p)[:, 0])

    parts = {"a": nn.Linear(3, 4), "t": param(1, 1, 4), "p": param(1, 6, 4), "o": nn.Linear(4, 3)}
    stream = prove(Net(forward, **parts), "1x5x3")
    assert edges(stream) == [
        "n0 -> n3 dense 4x3x1 a.weight",
        "n1 -> n3 dense 4x1x1 t",
        "n2 -> n3 dense 4x6x1 p",
        "n3 -> n4 dense 3x4x1 o.weight",
    ]


def test_tokens_at_the_end(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.o(torch.cat([s.a(x), s.t], 1)), a=nn.Linear(3, 4), t=param(1, 2, 4), o=nn.Linear(4, 3)
    )
    assert edges(prove(model, "1x5x3"))[1] == "n1 -> n2 dense 4x2x1 t"


def test_learned_queries(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        return s.o(F.scaled_dot_product_attention(s.t, s.k(x), s.v(x)))

    model = Net(forward, t=param(1, 3, 4), k=nn.Linear(6, 4), v=nn.Linear(6, 4), o=nn.Linear(4, 2))
    stream = prove(model, "1x5x6")
    assert nodes(stream)[1] == "n1 t0 position 3"
    assert "n4 t1 q 4" in nodes(stream)


def _mixer(s: Net, x: Tensor) -> Any:
    x = s.i(x)
    x = x + s.b(F.gelu(s.a(s.n(x).transpose(1, 2)))).transpose(1, 2)
    x = x + s.d(F.gelu(s.c(s.m(x))))
    return s.o(s.f(x).mean(1))


def _mixer_parts() -> dict[str, nn.Module]:
    norms = {name: nn.LayerNorm(4) for name in "nmf"}
    tokens = {"a": nn.Linear(5, 7), "b": nn.Linear(7, 5)}
    return {
        **norms,
        **tokens,
        "i": nn.Linear(3, 4),
        "c": nn.Linear(4, 8),
        "d": nn.Linear(8, 4),
        "o": nn.Linear(4, 2),
    }


def test_token_mixing_makes_nodes_of_the_positions(prove: Prove) -> None:
    stream = prove(Net(_mixer, **_mixer_parts()), "1x5x3")
    assert "n3 -> n4 dense 7x5x1 a.weight" in edges(stream)
    assert "n4 -> n5 dense 5x7x1 b.weight" in edges(stream)
    assert "n3 -> n5 one_to_one 5x1 learned residual x2" in edges(stream)
    assert nodes(stream)[3] == "n3 t1 position 5"
    # The patch embedding, two layers over tokens, two over channels, the head.
    assert stream.num_timestamps == 6


def test_spatial_gating_unit(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        u, v = s.a(x).chunk(2, -1)
        return s.o(u * s.t(s.n(v).transpose(1, 2)).transpose(1, 2))

    parts = {"a": nn.Linear(3, 8), "n": nn.LayerNorm(4), "t": nn.Linear(5, 5), "o": nn.Linear(4, 3)}
    stream = prove(Net(forward, **parts), "1x5x3")
    assert "n3 -> n4 dense 5x5x1 t.weight" in edges(stream)


def test_positions_mixed_by_an_einsum(prove: Prove) -> None:
    parts = {"i": nn.Linear(3, 3), "w": param(5, 4), "o": nn.Linear(3, 2)}
    model = Net(lambda s, x: s.o(torch.einsum("bnd,nm->bmd", s.i(x), s.w)), **parts)
    assert "n2 -> n3 dense 4x5x1 w" in edges(prove(model, "1x5x3"))


def test_a_computed_weight_that_is_zero_is_tried_with_another_value() -> None:
    """RAFT's first flow is no motion, and a ReLU makes zeros of half of what its layers make of that."""

    def forward(s: Net, x: Tensor) -> Any:
        return s.o(torch.cat([s.l(x), s.t.relu().expand(len(x), -1, -1)], 1))

    model, x = Net(forward, l=nn.Linear(3, 4), t=param(1, 5, 4), o=nn.Linear(4, 2)), torch.rand(1, 2, 3)
    report = wsgraph.verify(wsgraph.compile(model, x), model, x, samples=30)
    assert report.ok, report
