"""One fixture for all of them: wiring and ledger hold, and here is the stream for a closer look."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.testing import assert_ledger, assert_wiring

Prove = Callable[..., wsgraph.EventStream]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def prove() -> Prove:
    """``prove(model, inputs)`` checks wiring and ledger and returns the stream."""

    def check(model: nn.Module, inputs: Any, **options: Any) -> wsgraph.EventStream:
        chosen = wsgraph.CompileOptions(**options)
        assert_wiring(model, inputs, options=chosen)
        return assert_ledger(model, inputs, options=chosen)

    return check
