"""Permutations of the symmetry groups change nothing; what is no symmetry does."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch

from wsgraph.symmetry.analysis import analyse
from wsgraph.symmetry.permute import draw, move_weights
from wsgraph.verification.others import crossing, one_sided
from wsgraph.verification.outputs import DoubleModel, difference, generic
from wsgraph.verification.report import Check

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.events.stream import EventStream
    from wsgraph.symmetry.analysis import Analysis
    from wsgraph.symmetry.model import Member, Symmetry
    from wsgraph.symmetry.search import Group
    from wsgraph.verification.others import Move

__all__ = ["TOLERANCE", "check_permutations"]

TOLERANCE = 1e-9
"""Largest relative change of the float64 output that rounding explains."""

_EPSILON = torch.finfo(torch.float64).eps

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
        """How much a random element of some groups, which leaves no unit in place, changes the output."""
        goes_to = draw(self.analysis, groups, self.generator, cyclic=True)
        return difference(self.before, self.model(move_weights(self.stream, self.analysis, goes_to)))

    def rounding(self) -> float:
        """How much the output changes when the weights do by the last bits of a float64."""
        nudged = {n: t * (1 + 4 * _EPSILON) if t.is_floating_point() else t for n, t in self.state.items()}
        return difference(self.before, self.model(nudged))

    def shows(self, move: Move) -> bool:
        """Whether it changes the output to move one tensor and leave those tied to it."""
        return self._differs(move.parameter, move.applied(self.state[move.parameter]))

    def matters(self, move: Move) -> bool:
        """Whether the output depends on what is moved: with one token, it does not on the queries."""
        return self._differs(move.parameter, move.disturbed(self.state[move.parameter], self.generator))

    def _differs(self, name: str, tensor: Tensor) -> bool:
        moved = {**self.state, name: tensor}
        for other, spec in self.stream.structure.tensors.items():
            if spec.tied_to == name:
                moved[other] = tensor
        return difference(self.before, self.model(moved)) > TOLERANCE


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
    noise = prover.rounding()
    if noise > TOLERANCE:
        detail = (
            f"nothing can be told: rounding alone changes the output by {noise:.1e} (near ties are broken)"
        )
        return Check("permutation", passed=True, detail=detail)
    culprits = [g for g in groups if prover.change((g,)) > TOLERANCE]
    named = "; ".join(repr(prover.analysis.describe(g)) for g in culprits[:3])
    named = named or "only together"
    detail = f"the output changes by {worst:.1e}, expected at most {TOLERANCE:.0e}: {named}"
    return Check("permutation", passed=False, detail=detail)


def _others(prover: _Prover, samples: int) -> Check:
    """What is an element of no group must show in the output, wherever the output depends on it."""
    count = max(samples, _AT_LEAST)
    found = [prover.analysis.describe(group) for group in prover.analysis.groups]
    order = torch.randperm(len(found), generator=prover.generator).tolist()
    sides = [[one_sided(m) for m in _matrices(prover, found[k])[:_AT_LEAST]] for k in order[:count]]
    across = list(islice(crossing([found[k] for k in order]), count))
    shown = tried = 0
    for moves in (*(s for s in sides if len(s) > 1), *([move] for move in across)):
        changes = any(prover.shows(move) for move in moves)
        shown += changes
        tried += changes or any(prover.matters(move) for move in moves)
    detail = f"moving one tensor of a group, or across groups, changes the output {shown} of {tried} times"
    return Check("no permutation", passed=shown > 0 or not tried, detail=detail)


def _matrices(prover: _Prover, symmetry: Symmetry) -> list[Member]:
    """A bias moved alone need not show: keys' biases drop out of the softmax."""
    return [m for m in symmetry.members if prover.state[m.parameter].dim() > 1]
