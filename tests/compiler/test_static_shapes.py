"""A tensor that only lends its shape or type is none of a constant's, or a weight's, ingredients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, param

Prove = Callable[..., wsgraph.EventStream]


def test_a_running_state_that_starts_with_a_parameter(prove: Prove) -> None:
    """RWKV: ``zeros_like`` of an activation meets a parameter before it meets any neuron."""

    def forward(s: Net, x: Tensor) -> Any:
        h = s.a(x)
        state = torch.zeros_like(h[:, 0]) - torch.exp(s.decay)
        return s.b(state + h[:, 0])

    stream = prove(Net(forward, a=nn.Linear(3, 4), b=nn.Linear(4, 2), decay=param(4)), "1x5x3")
    (derived,) = stream.structure.derived.values()
    assert derived.sources == ("decay",)
    assert stream.ledger().total("derived") == 4


SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "ones_like": torch.ones_like,
    "full_like": lambda h: torch.full_like(h, 2.0),
    "new_zeros": lambda h: h.new_zeros(1, 4),
    "new_full": lambda h: h.new_full((4,), 2.0),
    "type_as": lambda h: torch.arange(4).type_as(h),
    "expand_as": lambda h: torch.tensor(3.0).expand_as(h),
    "view_as": lambda h: torch.arange(4.0).view_as(h),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_weight_made_with_an_activations_shape(prove: Prove, shape: Callable[[Tensor], Tensor]) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        h = s.a(x)
        return h * (s.w + shape(h))

    stream = prove(Net(forward, a=nn.Linear(3, 4), w=param(4)), "1x3")
    assert edges(stream)[-1] == "n1 -> n2 one_to_one 4x1 __wsgraph__.derived.0"
    (derived,) = stream.structure.derived.values()
    assert [name for name in derived.sources if name in stream.state_dict()] == ["w"]


def test_positions_counted_over_ones_pick_their_rows(prove: Prove) -> None:
    def forward(s: Net, tokens: Tensor) -> Any:
        places = torch.ones_like(tokens).cumsum(1) + 1
        return s.o(s.t(tokens) + s.p(places))

    parts = {"t": nn.Embedding(7, 4), "p": nn.Embedding(9, 4), "o": nn.Linear(4, 2)}
    stream = prove(Net(forward, **parts), "1x5:int64")
    assert stream.ledger().total("unused") in (0, 4 * 4)


def test_a_mask_of_the_inputs_shape_written_slice_by_slice(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        mask = torch.zeros_like(x)
        mask[:, 1:] = 2.0
        return s.a(x) + s.b(mask)

    model = Net(forward, a=nn.Linear(3, 4), b=nn.Linear(3, 4))
    stream = prove(model, "1x3")
    assert stream.ledger().total("unused") == 0
