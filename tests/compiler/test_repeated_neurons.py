"""One neuron at several places of a value: as different functions of it, or alike until something differs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import wsgraph
from tests.compiler.nets import Net, over_neurons, param, verified


def crelu(h):
    return torch.cat([h.relu(), (-h).relu()], 1)


def functions(h, dim=1):
    return torch.stack([h.relu(), h.sin(), h], dim)


CRELU = {
    "batch norm": over_neurons(
        lambda s, h: s.o(s.n(crelu(h)).relu()), n=nn.BatchNorm1d(12), o=nn.Linear(12, 2)
    ),
    "layer norm": over_neurons(
        lambda s, h: s.o(s.n(crelu(h)).relu()), n=nn.LayerNorm(12), o=nn.Linear(12, 2)
    ),
    "scale": over_neurons(lambda s, h: (crelu(h) * s.p).sum(1), p=param(12)),
    "bias": over_neurons(lambda s, h: s.o((crelu(h) + s.p).relu()), p=param(12), o=nn.Linear(12, 2)),
    "residual": over_neurons(
        lambda s, h: s.o((s.k(h) + crelu(h)).relu()), k=nn.Linear(6, 12), o=nn.Linear(12, 2)
    ),
    "halves": over_neurons(lambda s, h: s.o(s.n(crelu(h)).relu()), n=nn.GroupNorm(3, 12), o=nn.Linear(12, 2)),
    "depthwise": over_neurons(
        lambda s, h: s.o(s.n(crelu(h).unsqueeze(2)).relu().squeeze(2)),
        n=nn.Conv1d(12, 12, 1, groups=12),
        o=nn.Linear(12, 2),
    ),
}
STACKED = {
    "scale": over_neurons(lambda s, h: (functions(h) * s.p).tanh().sum(1), p=param(3, 6)),
    "recurrent": over_neurons(
        lambda s, h: (s.g(functions(h))[0] * s.p).sum(1), g=nn.GRU(6, 5, batch_first=True), p=param(3, 5)
    ),
    "a weight each": over_neurons(
        lambda s, h: (torch.einsum("bnd,nde->bne", functions(h), s.w).tanh() * s.p).sum(1),
        w=param(3, 6, 5),
        p=param(3, 5),
    ),
    "interleaved": over_neurons(
        lambda s, h: s.o(s.n(functions(h, 2).flatten(1)).relu()), n=nn.BatchNorm1d(18), o=nn.Linear(18, 2)
    ),
}


def overwritten(h):
    h = h.clone()
    h[:, :3] = h[:, 3:].sin()
    return h


WRITTEN = {
    "slice": over_neurons(
        lambda s, h: s.o(s.n(overwritten(h)).relu()), n=nn.BatchNorm1d(6), o=nn.Linear(6, 2)
    ),
}


def alike(h, n=3):
    return h.unsqueeze(-1).expand(-1, -1, n)


ALIKE = {
    "times constants": over_neurons(
        lambda s, h: ((alike(h) * torch.arange(3.0)).sin() * s.p).sum(1), p=param(6, 3)
    ),
    "cumulative": over_neurons(lambda s, h: (alike(h).cumsum(-1).sin() * s.p).sum(1), p=param(6, 3)),
    "triangle": over_neurons(
        lambda s, h: (torch.tril(h[..., None, None].expand(-1, -1, 3, 3)) * s.p).sum(1), p=param(6, 3, 3)
    ),
    "outer product": over_neurons(
        lambda s, h: (torch.einsum("bd,n->bdn", h, torch.arange(3.0)).tanh() * s.p).sum(1), p=param(6, 3)
    ),
    "mixed by constants": over_neurons(
        lambda s, h: ((torch.arange(9.0).view(3, 3) @ h[:, None].expand(-1, 3, -1)).tanh() * s.p).sum(1),
        p=param(3, 6),
    ),
    "recurrent": over_neurons(
        lambda s, h: (s.g(h.unsqueeze(1).repeat(1, 5, 1))[0] * s.p).sum(1),
        g=nn.LSTM(6, 3, batch_first=True),
        p=param(5, 3),
    ),
}


@pytest.mark.parametrize(
    "model",
    [pytest.param(m, id=name) for group in (CRELU, STACKED, WRITTEN) for name, m in group.items()],
)
def test_functions_of_one_neuron_are_told_apart(model):
    verified(model)


@pytest.mark.parametrize("model", [pytest.param(m, id=name) for name, m in ALIKE.items()])
def test_places_that_were_alike_are_told_apart_once_they_differ(model):
    verified(model)


def test_crelu_moves_its_halves_together():
    stream = verified(CRELU["batch norm"])
    sizes = sorted(group.size for group in wsgraph.symmetries(stream) if group.kind == "neurons")
    assert sizes == [6]


def test_a_value_joined_to_itself_stays_alike():
    model = over_neurons(
        lambda s, h: s.o(s.n(torch.cat([h, h], 1)).relu()), n=nn.BatchNorm1d(12), o=nn.Linear(12, 2)
    )
    sizes = sorted(group.size for group in wsgraph.symmetries(verified(model)) if group.kind == "neurons")
    assert sizes == [2, 2, 2, 2, 2, 2, 6]


def test_each_of_the_biases_of_a_repeated_neuron_is_a_node_of_its_own():
    stream = verified(
        over_neurons(lambda s, h: s.o((h.repeat(1, 3) + s.p).relu()), p=param(18), o=nn.Linear(18, 2))
    )
    assert [b.size for b in stream.node_blocks if "bias" in b.features] == [6, 18, 2]


def test_pooled_statistics_side_by_side():
    model = over_neurons(
        lambda s, h: s.o(s.n(torch.cat([s.c(h[:, None]).mean(2), s.c(h[:, None]).std(2)], 1))),
        c=nn.Conv1d(1, 5, 3),
        n=nn.BatchNorm1d(10),
        o=nn.Linear(10, 2),
    )
    verified(model)


def test_pairs_picked_out_of_all_products():
    rows, columns = torch.tril_indices(3, 3, -1)

    def interact(s, h):
        fields = torch.stack([s.a(h).relu(), s.b(h), s.c(h)], 1)
        products = torch.bmm(fields, fields.transpose(1, 2))
        return s.o(torch.cat([h, products[:, rows, columns]], 1))

    layers = {name: nn.Linear(6, 4) for name in "abc"}
    stream = verified(over_neurons(interact, **layers, o=nn.Linear(9, 2)))
    assert [b.size for b in stream.node_blocks if b.attrs["role"] == "logits"] == [3]


def test_a_parameter_with_more_batches_than_the_activation():
    model = over_neurons(
        lambda s, h: s.o((h.relu().view(1, 1, 2, 3) @ s.w).tanh().flatten(1)),
        w=param(1, 4, 3, 2),
        o=nn.Linear(16, 2),
    )
    verified(model)


def test_a_mask_that_the_input_decides():
    model = over_neurons(
        lambda s, h: s.o(h.unsqueeze(-1).masked_fill((h < 0.5).unsqueeze(-1), -1e9).softmax(1).flatten(1)),
        o=nn.Linear(6, 2),
    )
    verified(model)


def test_a_single_score_takes_part_at_every_channel():
    """GCNet: a context summed with one score a position, and layers over its channels."""

    def context(s, x):
        scores = s.score(x).flatten(2).softmax(-1)
        pooled = (x.flatten(2) @ scores.transpose(1, 2)).unsqueeze(-1)
        return s.o(x + s.b(s.a(pooled).relu()))

    layers = {"score": (3, 1), "a": (3, 2), "b": (2, 3), "o": (3, 2)}
    model = Net(context, **{name: nn.Conv2d(*sizes, 1) for name, sizes in layers.items()})
    verified(model, torch.rand(1, 3, 4, 4))


def test_filters_predicted_for_every_pixel():
    def denoise(s, x):
        weights = s.c(x).softmax(1)
        return (weights * functional.unfold(x, 3, padding=1).view(1, 9, 5, 5)).sum(1, keepdim=True)

    verified(Net(denoise, c=nn.Conv2d(1, 9, 3, padding=1)), torch.rand(1, 1, 5, 5))


def test_leaves_of_a_tree_meet_its_responses():
    """Node's oblivious trees: an outer product of gates with themselves, and a table for each tree."""

    def trees(s, x):
        gates = torch.stack([s.l(x), -s.l(x)], -1).sigmoid().view(1, 3, 2, 2)
        leaves = torch.einsum("bnx,bny->bnxy", gates[:, :, 0], gates[:, :, 1]).flatten(2)
        return torch.einsum("bnl,ncl->bnc", leaves, s.w).mean(1)

    verified(Net(trees, l=nn.Linear(4, 6), w=param(3, 2, 4)), torch.rand(1, 4))
