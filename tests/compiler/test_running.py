"""Comparisons of neurons, and sums, products and maxima that run over them."""

import pytest
from torch import nn

from tests.compiler.nets import over_neurons, param, verified

COMPARED = {
    "threshold": over_neurons(lambda s, h: s.o(h * (h > s.p.exp())), p=param(6), o=nn.Linear(6, 2)),
    "winner": over_neurons(
        lambda s, h: s.o((h.view(1, 3, 2) * (h.view(1, 3, 2) == h.view(1, 3, 2).amax(-1, True))).flatten(1)),
        o=nn.Linear(6, 2),
    ),
    "best of all": over_neurons(lambda s, h: s.o(h * (h >= h.topk(2)[0][..., -1:])), o=nn.Linear(6, 2)),
}
RUNNING = {
    "sum": over_neurons(lambda s, h: s.o(h.softmax(-1).cumsum(-1)), o=nn.Linear(6, 2)),
    "product": over_neurons(lambda s, h: s.o(h.sigmoid().cumprod(-1)), o=nn.Linear(6, 2)),
    "maximum": over_neurons(lambda s, h: s.o(h.cummax(-1)[0].tanh()), o=nn.Linear(6, 2)),
    "in parts": over_neurons(
        lambda s, h: s.o(h.view(1, 2, 3).cumsum(-1).tanh().flatten(1)), o=nn.Linear(6, 2)
    ),
}


@pytest.mark.parametrize(
    "model", [pytest.param(m, id=name) for group in (COMPARED, RUNNING) for name, m in group.items()]
)
def test_comparisons_and_running_sums_over_neurons(model):
    verified(model)


def test_a_running_sum_has_edges_from_all_before():
    stream = verified(RUNNING["sum"])
    block = next(b for b in stream.node_blocks if b.attrs["role"] == "sum")
    edge = next(e for e in stream.edge_blocks if e.dst == block.id)
    assert (block.size, edge.num_edges) == (6, 21)
