"""Elements picked by positions that the input decides, experts, bags, bilinear layers and folds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, over_neurons, param, verified

Prove = Callable[..., wsgraph.EventStream]


def test_the_token_that_the_input_names(prove: Prove) -> None:
    """CLIP's text encoder takes the features of the token with the largest number."""

    def forward(s: Net, tokens: Tensor) -> Any:
        return s.o(s.e(tokens)[torch.arange(tokens.shape[0]), tokens.argmax(-1)])

    stream = prove(Net(forward, e=nn.Embedding(9, 4), o=nn.Linear(4, 2)), "2x5:int64")
    assert nodes(stream) == ["n0 t0 input 9", "n1 t1 hidden 4", "n2 t2 output 2"]


def test_all_channels_of_the_pixels_that_the_input_decides() -> None:
    """RoI pooling and bilinear samplers written out: every channel stays what it is."""

    def forward(s: Net, x: Tensor) -> Any:
        h = s.c(x).relu()
        place = (s.p(x.mean((2, 3))).sigmoid() * 3).view(-1, 1, 3, 2).long()
        rows, channels = torch.arange(len(x))[:, None, None], torch.arange(5)[None, :, None]
        return s.o(h[rows, channels, place[..., 0], place[..., 1]].flatten(1))

    model = Net(forward, c=nn.Conv2d(2, 5, 3, padding=1), p=nn.Linear(2, 6), o=nn.Linear(15, 2))
    stream = verified(model, torch.rand(1, 2, 4, 4))
    assert edges(stream)[-1] == "n1 -> n3 dense 2x5x3 o.weight"
    # What decides where to read is not interchangeable: each of its neurons decides another place.
    assert [(g.kind, g.size) for g in wsgraph.symmetries(stream)] == [("neurons", 5), ("positive_scale", 5)]


def test_channels_that_are_each_read_where_the_input_decides_for_them() -> None:
    def forward(s: Net, x: Tensor) -> Any:
        place = (x[:, 0, :5].sigmoid() * 3).long()
        return s.o(s.a(x)[torch.arange(len(x))[:, None], place, torch.arange(5)])

    stream = verified(Net(forward, a=nn.Linear(6, 5), o=nn.Linear(5, 2)), torch.rand(1, 3, 6))
    assert edges(stream)[-1] == "n1 -> n2 dense 2x5x1 o.weight"
    assert "neurons" not in {group.kind for group in wsgraph.symmetries(stream)}


def written(h: Tensor, index: list[int], new: Tensor) -> Tensor:
    h = h.clone()
    h[:, torch.tensor(index)] = new
    return h


def triangle(h: Tensor) -> Tensor:
    lower = torch.zeros(len(h), 3, 3)
    i, j = torch.tril_indices(3, 3)
    lower[:, i, j] = h
    return lower


WRITES = {
    "some neurons": lambda s, h: s.o(written(h, [0, 2, 4], s.v(h)).relu()),
    "counted from behind": lambda s, h: s.o(written(h, [-1, -4], s.v(h)[:, 1:]).relu()),
    "zeros": lambda s, h: s.o(written(h, [0, 2, 4], torch.zeros(())).relu()),
    "all of them": lambda s, h: s.o(written(h, [3, 1, 5, 0, 2, 4], s.w(h)).relu()),
    "a triangle": lambda s, h: s.o(
        torch.cat([h[:, :3], (triangle(h) @ s.v(h).unsqueeze(-1)).squeeze(-1)], 1)
    ),
    "added": lambda s, h: s.o(written(h, [0, 2, 4], h[:, [0, 2, 4]] + s.v(h)).relu()),
    "positions of nothing": lambda s, h: s.o(
        written(torch.zeros(1, 3, 2), [2, 0], s.w(h).view(1, 3, 2)[:, :2].relu()).flatten(1)
    ),
    "where the input decides": lambda s, h: s.o(
        h.index_put((torch.arange(len(h)), h.argmax(-1)), s.v(h)[:, 0]).relu()
    ),
}


@pytest.mark.parametrize("forward", WRITES.values(), ids=WRITES.keys())
def test_neurons_written_over_at_some_places(forward: Callable[[Net, Tensor], Any]) -> None:
    verified(over_neurons(forward, v=nn.Linear(6, 3), w=nn.Linear(6, 6), o=nn.Linear(6, 2)))


def test_what_is_written_lines_up_with_the_index_and_not_with_the_result() -> None:
    """Values of four dimensions for five that the index makes: their first is the result's second."""

    def forward(s: Net, h: Tensor) -> Any:
        place = (s.v(h).sigmoid() * 3).long().view(1, 1)
        image = torch.zeros(1, 6, 3, 2)
        image[:, :, place] = h.view(6, 1, 1, 1).tanh()
        return s.o(image.flatten(1))

    stream = verified(over_neurons(forward, v=nn.Linear(6, 1), o=nn.Linear(36, 2)))
    assert edges(stream)[-1] == "n1 -> n3 dense 2x6x6 o.weight"


def test_neurons_that_are_written_over_have_no_edge(prove: Prove) -> None:
    """Only neurons 1, 3 and 5 of the first layer are read by the last."""
    model = over_neurons(WRITES["some neurons"], v=nn.Linear(6, 3), o=nn.Linear(6, 2))
    read = "n2[0:1]+n1[1:2]+n2[1:2]+n1[3:4]+n2[2:3]+n1[5:6]"
    assert edges(prove(model, "1x4"))[-1] == f"{read} -> n3 dense 2x6x1 o.weight"


def test_positions_counted_by_a_buffer(prove: Prove) -> None:
    """RoBERTa gathers from a buffer at positions that depend on the padding."""

    def forward(s: Net, tokens: Tensor) -> Any:
        position = (tokens != 1).int().cumsum(1).long()
        return s.e(tokens) + s.p(torch.gather(s.types.expand(tokens.shape[0], -1), 1, position))

    model = Net(forward, e=nn.Embedding(9, 4), p=nn.Embedding(3, 4))
    model.register_buffer("types", torch.zeros(1, 8, dtype=torch.int64))
    prove(model, "2x5:int64")


def test_sorted_and_gathered_positions_keep_their_neurons(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        h = s.a(x)
        order = h.sum(-1).argsort(-1)
        return s.o(torch.gather(h, 1, order.unsqueeze(-1).expand(-1, -1, 4)))

    stream = prove(Net(forward, a=nn.Linear(3, 4), o=nn.Linear(4, 2)), "2x6x3")
    assert edges(stream)[-1] == "n1 -> n3 dense 2x4x1 o.weight"


def test_the_largest_neurons_may_be_any_of_them(prove: Prove) -> None:
    model = Net(lambda s, x: s.o(torch.topk(s.a(x), 2, -1).values), a=nn.Linear(3, 5), o=nn.Linear(2, 2))
    stream = prove(model, "2x3")
    assert "n1 -> n2 dense 1x5x1 learned reduce" in edges(stream)


def test_rows_of_a_parameter(prove: Prove) -> None:
    stream = prove(
        Net(lambda s, i: s.o(s.table[i].flatten(-2)), table=param(7, 2, 3), o=nn.Linear(6, 2)), "4:int64"
    )
    assert edges(stream) == ["n0 -> n1 dense 6x7x1 table", "n1 -> n2 dense 2x6x1 o.weight"]


def test_neurons_written_where_the_input_decides(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        h = s.a(x)
        rows = h.sum(-1).argsort(-1)
        out = h.new_zeros(h.shape)
        out[rows] = s.b(h)
        return s.o(out)

    prove(Net(forward, a=nn.Linear(3, 4), b=nn.Linear(4, 4), o=nn.Linear(4, 2)), "6x3")


def test_experts_are_parallel_layers(prove: Prove) -> None:
    import transformers.integrations.moe  # noqa: F401  defines the operator

    def forward(s: Net, x: Tensor) -> Any:
        ends = torch.tensor([2, 3, 6], dtype=torch.int32)
        h = torch.ops.transformers.grouped_mm_fallback(s.i(x), s.up, ends)
        return torch.ops.transformers.grouped_mm_fallback(h.relu(), s.down, ends)

    stream = prove(Net(forward, i=nn.Linear(2, 3), up=param(3, 3, 4), down=param(3, 4, 2)), "6x2")
    assert edges(stream)[1:] == [
        "n1 -> n2 dense 12x3x1 up",
        "n2 -> n3 grouped 3x2x4x1 down",
    ]


def test_experts_that_a_router_decides_on(prove: Prove) -> None:
    import transformers.integrations.moe  # noqa: F401  defines the operator

    def forward(s: Net, x: Tensor) -> Any:
        chosen = s.router(x).argmax(-1)
        ends = torch.histc(chosen.float(), bins=3, min=0, max=2).cumsum(0).to(torch.int32)
        h = torch.ops.transformers.grouped_mm_fallback(s.i(x), s.up, ends)
        return torch.ops.transformers.grouped_mm_fallback(h.relu(), s.down, ends)

    parts = {"i": nn.Linear(2, 3), "router": nn.Linear(2, 3)}
    prove(Net(forward, **parts, up=param(3, 3, 4), down=param(3, 4, 2)), "7x2")


def test_a_bag_of_words_and_a_bilinear_layer(prove: Prove) -> None:
    model = Net(
        lambda s, w, y: s.b(s.e(w), s.i(y)),
        e=nn.EmbeddingBag(9, 3),
        i=nn.Linear(4, 4),
        b=nn.Bilinear(3, 4, 5),
    )
    stream = prove(model, ["2x4:int64", "2x4"])
    assert edges(stream)[-1].endswith("dense 5x12x1 b.weight")


def test_unfolded_channels_folded_again_are_the_same_neurons(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        patches = F.unfold(s.a(x), 2, stride=2)
        return s.o(F.fold(patches, (4, 4), 2, stride=2))

    stream = prove(Net(forward, a=nn.Conv2d(3, 4, 1), o=nn.Conv2d(4, 2, 1)), "1x3x4x4")
    assert edges(stream)[-1] == "n1 -> n2 dense 2x4x1 o.weight"


def test_padding_does_not_merge_the_channels_of_a_fold(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        return F.fold(F.unfold(s.a(x), 3, padding=1), (4, 4), 3, padding=1)

    prove(Net(forward, a=nn.Conv2d(3, 4, 1)), "1x3x4x4")


def test_patches_of_a_linear_layer_are_summed(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        return s.o(F.fold(s.a(x).transpose(1, 2), (4, 4), 2, stride=2))

    stream = prove(Net(forward, a=nn.Linear(3, 8), o=nn.Conv2d(2, 2, 1)), "1x4x3")
    assert "n1 -> n2 grouped 2x1x4x1 learned reduce" in edges(stream)


def test_warping_by_a_flow(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        where = s.flow(x).permute(0, 2, 3, 1).tanh()
        return s.o(F.grid_sample(s.a(x), where, align_corners=False))

    prove(Net(forward, a=nn.Conv2d(3, 4, 1), flow=nn.Conv2d(3, 2, 1), o=nn.Conv2d(4, 2, 1)), "1x3x5x5")
