"""Einstein sums of any number of operands, with letters that repeat or belong to one operand alone."""

import pytest
import torch
from torch import nn

import wsgraph
from tests.compiler.nets import Net, two_layers
from wsgraph.testing import assert_ledger, assert_wiring

SUMS = {
    "bilinear form": lambda m, a, b: torch.einsum("bi,kij,bj->bk", a, m.u, b),
    "layer and gate": lambda m, a, b: torch.einsum("bi,ij,bj->bi", a, m.v, b),
    "chain": lambda m, a, _: torch.einsum("...i,ij,jk->...k", a, m.v, m.v),
    "four operands": lambda m, a, b: torch.einsum("bi,ij,jk,bk->bk", a, m.v, m.v, b),
    "diagonal of activations": lambda _, a, b: torch.einsum("bii->bi", a[:, :, None] * b[:, None]),
    "trace": lambda m, a, b: torch.einsum("bii->b", a[:, :, None] * m.v[None])[:, None] * b,
    "diagonal of a parameter": lambda m, a, _: torch.einsum("bi,ii->bi", a, m.v),
    "parameter summed by itself": lambda m, a, b: torch.einsum("bi,j,i->b", a, m.w, m.w)[:, None] * b,
    "outer product with a parameter": lambda m, a, _: torch.einsum("bi,j->bij", a, m.w),
    "outer product": lambda _, a, b: torch.einsum("bi,bj->bij", a, b),
}


@pytest.mark.parametrize("join", SUMS.values(), ids=SUMS)
def test_wiring_and_ledger(join):
    torch.manual_seed(0)
    model, x = two_layers(join).double(), torch.randn(2, 6, dtype=torch.double)
    assert_ledger(model, x)
    assert_wiring(model, x)


def test_the_smallest_product_is_taken_first():
    """The layer y = W b, then the gate a * y: no neuron for each pair (i, j)."""
    stream = wsgraph.compile(two_layers(SUMS["layer and gate"]), "2x6")
    assert [block.size for block in stream.node_blocks] == [6, 8, 8, 8, 8]


def test_similarities_that_a_network_returns_are_wired():
    """Logits at the very end get their nodes from the product that makes them."""

    model = Net(lambda s, x: s.images(x) @ s.texts(x).t(), images=nn.Linear(6, 8), texts=nn.Linear(6, 8))
    assert_wiring(model.double(), torch.randn(3, 6, dtype=torch.double))
