"""Values written to positions that the input decides: routers."""

from collections.abc import Callable
from typing import Any

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


def test_a_mask_written_by_the_input_has_no_neurons(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        scores = s.r(x)
        chosen = torch.zeros_like(scores).scatter(1, scores.topk(2, -1)[1], 1.0)
        return s.o(scores.masked_fill(chosen == 0, -1e9).softmax(-1))

    stream = prove(Net(forward, r=nn.Linear(3, 3), o=nn.Linear(3, 2)), "6x3")
    assert "n1 -> n2 dense 2x3x1 o.weight" in [line.replace("n3", "n2") for line in edges(stream)]
