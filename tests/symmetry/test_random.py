"""Random compositions of modules: whatever is claimed holds."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn

import wsgraph
from tests.compiler.nets import Net
from tests.compiler.test_random_networks import convolutional, transformers
from tests.symmetry.proof import double, example, gap, permutations, proved, run

RANDOM = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@RANDOM
@given(convolutional())
def test_random_convolutional_networks(model: nn.Module) -> None:
    proved(model, "1x2x5x4")


@RANDOM
@given(transformers())
def test_random_transformers(model: nn.Module) -> None:
    proved(model, "1x5x3")


def test_the_proof_can_fail() -> None:
    """A claim that does not hold is seen: the buffer's values differ, and the notes are taken away."""
    model = double(
        Net(lambda s, x: s.b(s.a(x) * torch.arange(4.0).to(x)), a=nn.Linear(3, 4), b=nn.Linear(4, 2))
    )
    x = example("1x3")
    stream = wsgraph.compile(model, [x])
    assert not permutations(wsgraph.symmetries(stream))
    lines = stream.structure.meta["symmetry"]
    assert isinstance(lines, tuple)
    kept = tuple(line for line in lines if not str(line).startswith("class"))
    fooled = replace(stream.structure, meta={**stream.structure.meta, "symmetry": kept})
    other = wsgraph.EventStream(fooled, stream.weights)
    assert permutations(wsgraph.symmetries(other)) == {("neurons", 4): 1}
    before = run(model, stream.state_dict(), (x,))
    assert gap(before, run(model, wsgraph.permute(other, 0).state_dict(), (x,))) > 1e-3
    assert pytest.approx(0) == gap(before, run(model, wsgraph.permute(stream, 0).state_dict(), (x,)))
