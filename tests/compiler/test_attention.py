"""Attention in every way that models write it: q, k, v; z; output, three timestamps (App. F.2)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, param, roles

Prove = Callable[..., wsgraph.EventStream]

STANDARD = [(0, "input", 6), (1, "q", 8), (1, "k", 8), (1, "v", 8), (2, "z", 8), (3, "output", 6)]


def heads(x: Tensor, n: int) -> Tensor:
    batch, length, width = x.shape
    return x.view(batch, length, n, width // n).transpose(1, 2)


def merge(x: Tensor) -> Tensor:
    batch, n, length, width = x.shape
    return x.transpose(1, 2).reshape(batch, length, n * width)


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return merge(F.scaled_dot_product_attention(q, k, v))


def separate(s: Net, x: Tensor) -> Any:
    return s.o(sdpa(heads(s.q(x), 2), heads(s.k(x), 2), heads(s.v(x), 2)))


def written_out(s: Net, x: Tensor) -> Any:
    q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
    return s.o(merge((q @ k.transpose(-1, -2) / 2).softmax(-1) @ v))


def einsums(s: Net, x: Tensor) -> Any:
    q, k, v = (m(x).view(1, 5, 2, 4) for m in (s.q, s.k, s.v))
    weights = torch.einsum("bihd,bjhd->bhij", q, k).softmax(-1)
    return s.o(torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2))


def linear_attention(s: Net, x: Tensor) -> Any:
    q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
    return s.o(merge(q.softmax(-1) @ (k.softmax(-2).transpose(-1, -2) @ v)))


def batched_heads(s: Net, x: Tensor) -> Any:
    q, k, v = (heads(m(x), 2).reshape(2, 5, 4) for m in (s.q, s.k, s.v))
    return s.o(merge((torch.bmm(q, k.mT).softmax(-1) @ v).view(1, 2, 5, 4)))


def fused(s: Net, x: Tensor) -> Any:
    q, k, v = s.w(x).reshape(1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    return s.o(sdpa(q, k, v))


def fused_chunks(s: Net, x: Tensor) -> Any:
    return s.o(sdpa(*(heads(t, 2) for t in s.w(x).chunk(3, -1))))


def fused_by_head(s: Net, x: Tensor) -> Any:
    """GPT-NeoX keeps q, k and v of one head next to each other."""
    return s.o(sdpa(*s.w(x).view(1, 5, 2, 12).transpose(1, 2).chunk(3, -1)))


def sliced_weights(s: Net, x: Tensor) -> Any:
    parts = [F.linear(x, s.w.weight[i : i + 8], s.w.bias[i : i + 8]) for i in (0, 8, 16)]
    return s.o(sdpa(*(heads(t, 2) for t in parts)))


def bias_without_keys(s: Net, x: Tensor) -> Any:
    bias = torch.cat([s.qb, torch.zeros(8), s.vb])
    return s.o(sdpa(*(heads(t, 2) for t in F.linear(x, s.w.weight, bias).chunk(3, -1))))


@pytest.mark.parametrize("forward", [separate, written_out, einsums, linear_attention, batched_heads])
def test_separate_projections(prove: Prove, forward: Callable[..., Tensor]) -> None:
    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, o=nn.Linear(8, 6)), "1x5x6")
    assert roles(stream) == STANDARD
    assert edges(stream) == [
        "n0 -> n1 dense 8x6x1 q.weight",
        "n0 -> n2 dense 8x6x1 k.weight",
        "n0 -> n3 dense 8x6x1 v.weight",
        "n1 -> n4 grouped 2x4x4x1 learned query",
        "n2 -> n4 grouped 2x4x4x1 learned key",
        "n3 -> n4 grouped 2x4x4x1 learned value",
        "n4 -> n5 dense 6x8x1 o.weight",
    ]


@pytest.mark.parametrize("forward", [fused, fused_chunks, fused_by_head, sliced_weights])
def test_one_projection_for_all_three(prove: Prove, forward: Callable[..., Tensor]) -> None:
    stream = prove(Net(forward, w=nn.Linear(6, 24), o=nn.Linear(8, 6)), "1x5x6")
    assert roles(stream) == STANDARD
    assert [line.split()[-1] for line in edges(stream)][3:6] == ["query", "key", "value"]


def test_a_bias_put_together_from_parameters_and_zeros(prove: Prove) -> None:
    parts = {"w": nn.Linear(6, 24, bias=False), "qb": param(8), "vb": param(8), "o": nn.Linear(8, 6)}
    stream = prove(Net(bias_without_keys, **parts), "1x5x6")
    assert roles(stream) == STANDARD
    names = [{k: v.name for k, v in n.features.items()} for n in stream.node_blocks[1:4]]
    assert names == [{"bias": "qb"}, {}, {"bias": "vb"}]


@pytest.mark.parametrize("weights", [False, True], ids=["sdpa", "with weights"])
def test_nn_multihead_attention(prove: Prove, weights: bool) -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    stream = prove(Net(lambda s, x: s.m(x, x, x, need_weights=weights)[0], m=attention), "1x5x8")
    assert [role for _, role, _ in roles(stream)] == ["input", "q", "k", "v", "z", "output"]
    assert stream.num_timestamps == 3


@pytest.mark.parametrize("width", [8, 6])
def test_cross_attention(prove: Prove, width: int) -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True, kdim=width, vdim=width)
    model = Net(lambda s, x, y: s.m(x, y, y, need_weights=False)[0], m=attention)
    stream = prove(model, ["1x5x8", f"1x4x{width}"])
    assert [line.partition(" dense")[0] for line in edges(stream)[:3]] == ["n0 -> n2", "n1 -> n3", "n1 -> n4"]


def _grouped(s: Net, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return heads(s.q(x), 4), heads(s.k(x), 2), heads(s.v(x), 2)


def repeated(s: Net, x: Tensor) -> Any:
    q, k, v = _grouped(s, x)
    return s.o(sdpa(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)))


def flagged(s: Net, x: Tensor) -> Any:
    return s.o(merge(F.scaled_dot_product_attention(*_grouped(s, x), enable_gqa=True)))


def expanded(s: Net, x: Tensor) -> Any:
    q, k, v = _grouped(s, x)
    k, v = (t[:, :, None].expand(1, 2, 2, 5, 2).reshape(1, 4, 5, 2) for t in (k, v))
    return s.o(sdpa(q, k, v))


@pytest.mark.parametrize("forward", [repeated, flagged, expanded])
def test_grouped_queries(prove: Prove, forward: Callable[..., Tensor]) -> None:
    parts = {"q": nn.Linear(6, 8), "k": nn.Linear(6, 4), "v": nn.Linear(6, 4), "o": nn.Linear(8, 6)}
    stream = prove(Net(forward, **parts), "1x5x6")
    assert edges(stream)[3:6] == [
        "n1 -> n4 grouped 4x2x2x1 learned query",
        "n2[0:2]+n2+n2[2:4] -> n4 grouped 4x2x2x1 learned key",
        "n3[0:2]+n3+n3[2:4] -> n4 grouped 4x2x2x1 learned value",
    ]


def test_diagonal_values(prove: Prove) -> None:
    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(separate, **parts, o=nn.Linear(8, 6)), "1x5x6", attention="diagonal-v")
    assert edges(stream)[5] == "n3 -> n4 one_to_one 8x1 learned value"


def _logits(change: Callable[[Net, Tensor], Tensor]) -> Callable[[Net, Tensor], Tensor]:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
        return s.o(merge(change(s, q @ k.transpose(-1, -2)).softmax(-1) @ v))

    return forward


def _indexed_table(s: Net, a: Tensor) -> Any:
    distance = torch.arange(5)[:, None] - torch.arange(5)[None] + 4
    return a + s.p[distance.view(-1)].view(5, 5, 2).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("change", "parameter", "edge"),
    [
        (lambda s, a: a + s.p, param(2, 5, 5), "dense 2x25x1 p"),
        (_indexed_table, param(9, 2), "dense 2x9x1 p"),
        (lambda s, a: a * s.p, param(2, 1, 1), "one_to_one 2x1 p"),
    ],
    ids=["relative positions", "indexed relative positions", "temperature"],
)
def test_parameters_on_logits_get_a_node_a_head(
    prove: Prove, change: Callable[[Net, Tensor], Tensor], parameter: nn.Parameter, edge: str
) -> None:
    parts: dict[str, nn.Module | nn.Parameter] = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(_logits(change), **parts, p=parameter, o=nn.Linear(8, 6)), "1x5x6")
    assert any(line.endswith(edge) for line in edges(stream))
    logits = [n for n in roles(stream) if n[1] == "logits"]
    assert logits
    assert all(t == 2 and size == 2 for t, _, size in logits)
    assert stream.num_timestamps == 3


def test_talking_heads(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
        a = s.a((q @ k.transpose(-1, -2)).permute(0, 2, 3, 1)).softmax(2)
        return s.o(merge(s.b(a).permute(0, 3, 1, 2) @ v))

    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, a=nn.Linear(2, 2), b=nn.Linear(2, 2), o=nn.Linear(8, 6)), "1x5x6")
    assert {"n4 -> n5 dense 2x2x1 a.weight", "n5 -> n6 dense 2x2x1 b.weight"} <= set(edges(stream))
    assert stream.num_timestamps == 3


def test_norms_of_queries_and_keys_are_shared_by_heads(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
        return s.o(sdpa(s.n(q), s.m(k), v))

    parts: dict[str, nn.Module] = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, n=nn.LayerNorm(4), m=nn.RMSNorm(4), o=nn.Linear(8, 6)), "1x5x6")
    assert "n1 -> n4 one_to_one 8x1 n.weight" in edges(stream)


def test_rotary_embeddings_pair_dimensions_of_one_head(prove: Prove) -> None:
    angle = torch.arange(5.0)[:, None] * torch.tensor([1.0, 0.1])
    cos, sin = (torch.cat([f(angle)] * 2, -1) for f in (torch.cos, torch.sin))

    def rotate(t: Tensor) -> Tensor:
        return t * cos + torch.cat([-t[..., 2:], t[..., :2]], -1) * sin

    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
        return s.o(sdpa(rotate(q), rotate(k), v))

    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, o=nn.Linear(8, 6)), "1x5x6")
    assert "n1[2:4]+n1[0:2]+n1[6:8]+n1[4:6] -> n4 one_to_one 8x1 learned residual" in edges(stream)
    assert stream.num_timestamps == 3


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_encoder_layer(prove: Prove, norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    stream = prove(layer, "1x5x8")
    assert stream.num_timestamps == 5
    assert len([line for line in edges(stream) if "residual" in line]) == 2


def test_transformer_decoder_layer(prove: Prove) -> None:
    stream = prove(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), ["1x5x8", "1x4x8"])
    assert stream.num_timestamps == 8
    assert len([n for n in nodes(stream) if " z " in n]) == 2


@pytest.mark.parametrize("projected", [False, True], ids=["fused", "written out"])
def test_learned_queries_have_heads(prove: Prove, projected: bool) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = heads(s.q(s.t) if projected else s.t, 2), heads(s.k(x), 2), heads(s.v(x), 2)
        return s.o(merge((q @ k.mT).softmax(-1) @ v) if projected else sdpa(q, k, v))

    parts = {"q": nn.Linear(8, 8), "k": nn.Linear(6, 8), "v": nn.Linear(6, 8), "o": nn.Linear(8, 6)}
    stream = prove(Net(forward, **parts, t=param(1, 3, 8)), "1x5x6")
    assert sorted(n for _, role, n in roles(stream) if role in ("q", "k", "v")) == [8, 8, 8]
    assert [n for _, role, n in roles(stream) if role == "position"] == [3]
    assert [line.split()[3] for line in edges(stream) if line.endswith("query")] == ["grouped"]


def test_logits_and_rotary_embeddings_leave_the_roles(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (heads(m(x), 2) for m in (s.q, s.k, s.v))
        q = q * 0.5 + torch.cat([-q[..., 2:], q[..., :2]], -1) * 0.5
        a = s.a((q @ k.mT).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).softmax(-1)
        return s.o(merge(a @ v))

    parts = {name: nn.Linear(6, 8) for name in "qkv"}
    stream = prove(Net(forward, **parts, a=nn.Linear(2, 2), o=nn.Linear(8, 6)), "1x5x6")
    assert [role for _, role, _ in roles(stream)] == [
        "input", "hidden", "k", "v", "q", "logits", "logits", "z", "output"
    ]  # fmt: skip


def test_a_context_beside_the_state_of_a_decoder(prove: Prove) -> None:
    """Additive attention: the context has an axis of logits and one of the memory's neurons."""

    def forward(s: Net, memory: Tensor) -> Any:
        h, outputs = s.start(memory.mean(1)).tanh(), []
        for _ in range(2):
            scores = s.score((s.query(h).unsqueeze(1) + s.key(memory)).tanh()).squeeze(-1)
            context = torch.bmm(scores.softmax(-1).unsqueeze(1), memory).squeeze(1)
            outputs.append(s.head(torch.cat([h, context], -1)))
            h = s.cell(torch.cat([context, outputs[-1]], -1), h)
        return torch.stack(outputs, 1)

    layers = {"start": (6, 5), "query": (5, 4), "key": (6, 4), "score": (4, 1), "head": (11, 3)}
    parts: dict[str, nn.Module] = {name: nn.Linear(*sizes) for name, sizes in layers.items()}
    model = Net(forward, **parts, cell=nn.GRUCell(9, 5))
    stream = prove(model, "1x5x6")
    report = wsgraph.verify(stream, model, "1x5x6")
    assert report.ok, report
