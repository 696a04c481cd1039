"""Forwards that ask constants for their numbers, and views by memory address: Longformer has both."""

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.compiler import trace
from wsgraph.errors import FrontendError
from wsgraph.ir.execute import execute
from wsgraph.testing import assert_ledger, assert_wiring


class Net(nn.Module):
    """Two layers; what a forward does with them is the subclass's."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)


class Asking(Net):
    """Which layer runs is decided by a mask made of ones, by the input's shape alone."""

    def forward(self, x):
        mask = torch.ones(x.shape[:2], device=x.device)
        mask[:, 1:] = 0
        outside = mask.new_zeros(x.shape[:2]) > mask
        if outside.any().item():
            return self.a(x)
        return self.b(x) * float(mask.sum())


class Overwritten(Net):
    """The mask is no constant any more once the input was written into it."""

    def forward(self, x):
        mask = torch.zeros(x.shape)
        view = mask[0]
        mask[:, 0] = x[:, 0]
        return self.a(x) if view.any().item() else self.b(x)


def test_a_branch_that_a_constant_decides():
    model = Asking()
    stream = wsgraph.compile(model, "1x3x4")
    assert "frontend: torch.export, with branches that constants decide" in stream.structure.meta["notes"]
    assert stream.ledger().total("unused") == 20
    x = torch.randn(1, 3, 4)
    assert torch.allclose(execute(trace(model, x), [x], dict(model.state_dict()))[0][0], model(x))


def test_a_constant_that_the_input_was_written_into():
    with pytest.raises(FrontendError, match="depends on the data"):
        wsgraph.compile(Overwritten(), "1x3x4")


class Windows(Net):
    """Overlapping windows of positions, taken by address from a transposed tensor."""

    def forward(self, x):
        h = self.a(x).transpose(0, 1)
        return self.b(h.as_strided((3, 2, 4), (4, 4, 1)).sum(1))


class Written(Net):
    def forward(self, x):
        h = self.a(x)
        h.as_strided((4,), (1,)).mul_(2)
        return self.b(h)


class Part(Net):
    def forward(self, x):
        return self.b(self.a(x)[:, 1:].as_strided((2, 4), (8, 1)))


def test_windows_taken_by_address():
    model = Windows()
    x = torch.randn(1, 4, 4)
    assert torch.allclose(execute(trace(model, x), [x], dict(model.state_dict()))[0][0], model(x))
    assert_wiring(model, "1x4x4")
    assert_ledger(model, "1x4x4")


class Turned(Net):
    """Two writes into slices of a transposed tensor that is read by its own name afterwards."""

    def forward(self, x):
        h = self.a(x).transpose(1, 2)
        h[:, :2] = 0.5 * h[:, :2]
        h[:, :, 1:] = h[:, :, 1:].where(torch.arange(4)[:, None] > 1, 2.0)
        return self.b(h.transpose(1, 2))


def test_writes_into_a_turned_tensor():
    model, x = Turned(), torch.randn(1, 3, 4)
    assert torch.allclose(execute(trace(model, x), [x], dict(model.state_dict()))[0][0], model(x))
    assert_wiring(model, "1x3x4")


@pytest.mark.parametrize(("model", "reason"), [(Written(), "written into"), (Part(), "part of another")])
def test_addresses_that_cannot_be_followed(model, reason):
    with pytest.raises(wsgraph.WsgraphError, match=reason):
        wsgraph.compile(model, "1x3x4")
