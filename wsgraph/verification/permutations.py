"""Permutations of the symmetry groups change nothing; what is no symmetry does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.symmetry.analysis import analyse
from wsgraph.symmetry.permute import draw, move_weights
from wsgraph.verification.outputs import DoubleModel, difference, generic
from wsgraph.verification.report import Check

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.events.stream import EventStream
    from wsgraph.symmetry.analysis import Analysis
    from wsgraph.symmetry.model import Member, Symmetry
    from wsgraph.symmetry.search import Group

__all__ = ["TOLERANCE", "check_permutations"]

TOLERANCE = 1e-9
"""Largest relative change of the float64 output that rounding explains."""

_AT_LEAST = 3
"""Groups tried one-sided, and tensors of each, so that one without influence does not decide."""


class _Prover:
    def __init__(
        self, stream: EventStream, analysis: Analysis, model: DoubleModel, generator: torch.Generator
    ) -> None:
        self.analysis = analysis
        self.model = model
        self.generator = generator
        self.state = generic(stream.state_dict(), generator)
        for name, spec in stream.structure.tensors.items():
            if spec.tied_to is not None:
                self.state[name] = self.state[spec.tied_to]
        self.stream = stream.bind(self.state)
        self.before = model(self.state)

    def change(self, groups: tuple[Group, ...]) -> float:
        """How much a random element of some groups changes the output."""
        goes_to = draw(self.analysis, groups, self.generator)
        return difference(self.before, self.model(move_weights(self.stream, self.analysis, goes_to)))

    def one_side(self, member: Member) -> float:
        """How much it changes the output to move one tensor of a group and leave those tied to it."""
        moved = dict(self.state)
        moved[member.parameter] = _one_sided(self.state[member.parameter], member)
        for name, spec in self.stream.structure.tensors.items():
            if spec.tied_to == member.parameter:
                moved[name] = moved[member.parameter]
        return difference(self.before, self.model(moved))


def _one_sided(tensor: Tensor, member: Member) -> Tensor:
    """The units rotated by one along a single dimension of a single tensor."""
    order = torch.arange(tensor.shape[member.dimension])
    order[member.positions] = member.positions.roll(1, 0)
    moved = tensor.index_select(member.dimension, order)
    if member.within is None:
        return moved
    dim, start, stop = member.within
    out = tensor.clone()
    out.narrow(dim, start, stop - start).copy_(moved.narrow(dim, start, stop - start))
    return out


def check_permutations(
    stream: EventStream, model: DoubleModel, samples: int, generator: torch.Generator
) -> list[Check]:
    """Run the model under random elements of every group, and under what is no element of any.

    Args:
        stream: the stream, with weights.
        model: the model in float64.
        samples: random elements drawn, and groups tried one-sided.
        generator: source of randomness.
    """
    analysis = analyse(stream.structure)
    prover = _Prover(stream, analysis, model, generator)
    return [_elements(prover, samples), _others(prover, samples)]


def _elements(prover: _Prover, samples: int) -> Check:
    groups = prover.analysis.groups
    worst = max((prover.change(groups) for _ in range(samples)), default=0.0) if groups else 0.0
    if worst <= TOLERANCE:
        detail = f"random elements of {len(groups)} groups change the output by {worst:.1e} at most"
        return Check("permutation", passed=True, detail=detail)
    culprits = [g for g in groups if prover.change((g,)) > TOLERANCE]
    named = "; ".join(repr(prover.analysis.describe(g)) for g in culprits[:3])
    named = named or "only together"
    detail = f"the output changes by {worst:.1e}, expected at most {TOLERANCE:.0e}: {named}"
    return Check("permutation", passed=False, detail=detail)


def _others(prover: _Prover, samples: int) -> Check:
    """Moving one tensor of a group and not those tied to it must show in the output.

    Not each must: with a single token, attention does not depend on its queries.
    """
    order = torch.randperm(len(prover.analysis.groups), generator=prover.generator).tolist()
    tried = shown = 0
    for k in order:
        matrices = _matrices(prover, prover.analysis.describe(prover.analysis.groups[k]))
        if tried == max(samples, _AT_LEAST):
            break
        if len(matrices) > 1:
            tried += 1
            shown += any(prover.one_side(m) > TOLERANCE for m in matrices[:_AT_LEAST])
    detail = f"one side of a group moved alone changes the output for {shown} of {tried} groups"
    return Check("no permutation", passed=shown > 0 or not tried, detail=detail)


def _matrices(prover: _Prover, symmetry: Symmetry) -> list[Member]:
    """A bias moved alone need not show: keys' biases drop out of the softmax."""
    return [m for m in symmetry.members if prover.state[m.parameter].dim() > 1]
