"""Graph neural networks: messages are summed over an edge list, an input or stored with the model."""

import pytest
import torch
from torch import nn

import wsgraph
from tests.compiler.nets import Net
from wsgraph.testing import assert_ledger, assert_wiring

EDGES = torch.tensor([[0, 1, 2, 3, 4, 0, 2], [1, 2, 3, 4, 0, 2, 2]])


def spread(index, like):
    return index[:, None].expand_as(like)


GATHERING = {
    "index_add": lambda out, to, m: out.index_add(0, to, m),
    "scatter_add": lambda out, to, m: out.scatter_add(0, spread(to, m), m),
    "scatter_add_": lambda out, to, m: out.scatter_add_(0, spread(to, m), m),
    "amax": lambda out, to, m: out.scatter_reduce(0, spread(to, m), m, "amax", include_self=False),
    "index_put": lambda out, to, m: out.index_put((to,), m, accumulate=True),
}


class GraphNetwork(nn.Module):
    def __init__(self, gather, edges=None):
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)
        self.gather = gather
        self.register_buffer("edges", edges)

    def forward(self, x, edges=None):
        source, target = self.edges if edges is None else edges
        x = self.first(x)
        messages = x.gather(0, spread(source, x[source]))
        return self.second(self.gather(torch.zeros_like(x), target, messages).relu())


@pytest.mark.parametrize("stored", [False, True], ids=["edges given", "edges stored"])
@pytest.mark.parametrize("gather", GATHERING.values(), ids=GATHERING)
def test_a_graph_network_has_the_wiring_of_its_layers(gather, stored):
    torch.manual_seed(0)
    model = GraphNetwork(gather, EDGES if stored else None).double()
    x = torch.randn(5, 3, dtype=torch.double)
    inputs = x if stored else (x, EDGES)
    stream = assert_ledger(model, inputs)
    assert (stream.num_nodes, stream.num_edges) == (3 + 8 + 2, 3 * 8 + 8 * 2)
    assert_wiring(model, inputs)


@pytest.mark.parametrize("gather", GATHERING.values(), ids=GATHERING)
def test_its_hidden_neurons_can_be_permuted(gather):
    torch.manual_seed(0)
    model, inputs = GraphNetwork(gather).double(), (torch.randn(5, 3, dtype=torch.double), EDGES)
    stream = wsgraph.compile(model, inputs)
    assert [group.size for group in wsgraph.symmetries(stream)] == [8]
    assert wsgraph.verify(stream, model, inputs).ok


def test_neurons_that_are_picked_apart_are_told_apart():
    """``gather`` with another index for every neuron: no two may change places."""
    rows = torch.tensor([[0, 1, 2, 3], [4, 3, 2, 1], [1, 1, 0, 0]])
    model = Net(lambda s, x: s.o(s.a(x).gather(0, rows)), a=nn.Linear(3, 4), o=nn.Linear(4, 2)).double()
    x = torch.randn(5, 3, dtype=torch.double)
    stream = wsgraph.compile(model, x)
    assert wsgraph.verify(stream, model, x).ok
    assert "neurons" not in {group.kind for group in wsgraph.symmetries(stream)}


def test_neurons_picked_by_a_constant_keep_their_edges():
    places, others = torch.tensor([[5, 0, 2]]), torch.tensor([[1, 2, 3]] * 2)

    def picked(net, x):
        y = net.a(x)
        return net.o(y.take_along_dim(places, 1) + y.gather(1, others))

    model = Net(picked, a=nn.Linear(4, 6), o=nn.Linear(3, 2))
    assert_wiring(model.double(), torch.randn(2, 4, dtype=torch.double))


def test_running_maxima_over_positions():
    model = Net(lambda s, x: s.o(s.a(x).cummax(1).values), a=nn.Linear(4, 6), o=nn.Linear(6, 2))
    assert_wiring(model.double(), torch.randn(2, 5, 4, dtype=torch.double))
