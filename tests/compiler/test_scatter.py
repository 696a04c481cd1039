"""Values written to positions that the input decides: routers, graph networks (``scatter`` and its sums)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, roles

Prove = Callable[..., wsgraph.EventStream]


def test_a_router_that_scatters_its_largest_scores(prove: Prove) -> None:
    """Llama 4, Phi-MoE: all experts run, and all but the chosen ones are multiplied by zero."""

    def forward(s: Net, x: Tensor) -> Any:
        top, where = s.router(x).topk(2, -1)
        gates = torch.zeros(x.shape[0], 3).scatter(1, where, top.softmax(-1))
        out = torch.stack([expert(x) for expert in s.experts], 1)
        return s.o((gates.unsqueeze(-1) * out).sum(1))

    experts = nn.ModuleList(nn.Linear(3, 4) for _ in range(3))
    model = Net(forward, router=nn.Linear(3, 3), experts=experts, o=nn.Linear(4, 2))
    stream = prove(model, "6x3")
    assert (1, "product", 12) in roles(stream)
    assert sum(line.endswith("one_to_one 12x1 learned gate") for line in edges(stream)) == 2


Aggregate = Callable[[Tensor, Tensor, Tensor], Tensor]
AGGREGATES: dict[str, Aggregate] = {
    "scatter_add": lambda h, to, m: h.scatter_add(0, to[:, None].expand(-1, 4), m),
    "index_add": lambda h, to, m: h.index_add(0, to, m),
    "scatter_reduce": lambda h, to, m: h.scatter_reduce(0, to[:, None].expand(-1, 4), m, "amax"),
}


@pytest.mark.parametrize("aggregate", AGGREGATES.values(), ids=AGGREGATES.keys())
def test_messages_along_a_graphs_edges_keep_their_neurons(prove: Prove, aggregate: Aggregate) -> None:
    def forward(s: Net, x: Tensor, start: Tensor, end: Tensor) -> Any:
        h = s.a(x)
        return s.o(h + aggregate(torch.zeros_like(h), end, s.m(h[start])))

    model = Net(forward, a=nn.Linear(3, 4), m=nn.Linear(4, 4), o=nn.Linear(4, 2))
    ends = (torch.tensor([0, 1, 2, 3, 4, 5, 0]), torch.tensor([1, 2, 3, 4, 5, 0, 3]))
    stream = prove(model, (torch.randn(6, 3), *ends))
    assert roles(stream)[1:] == [(1, "hidden", 4), (2, "hidden", 4), (2, "sum", 4), (3, "output", 2)]


def test_a_mask_written_by_the_input_has_no_neurons(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        scores = s.r(x)
        chosen = torch.zeros_like(scores).scatter(1, scores.topk(2, -1)[1], 1.0)
        return s.o(scores.masked_fill(chosen == 0, -1e9).softmax(-1))

    stream = prove(Net(forward, r=nn.Linear(3, 3), o=nn.Linear(3, 2)), "6x3")
    assert "n1 -> n2 dense 2x3x1 o.weight" in [line.replace("n3", "n2") for line in edges(stream)]
