"""What the influence test found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WiringFault", "WiringReport"]


@dataclass(frozen=True, slots=True)
class WiringFault:
    """One wrong connection.

    Attributes:
        block: the edge block (``e3``), node block (``n4``) or operator (``aten.roll``) at fault.
        pair: the neurons concerned, as text: ``n0[2] -> n1[5]``.
        scope: place in the module tree.
        op: canonical name of the operator.
        problem: what is wrong.
    """

    block: str
    pair: str
    scope: str
    op: str
    problem: str

    def __str__(self) -> str:
        return f"{self.block} ({self.op} at {self.scope or 'the top level'}), {self.pair}: {self.problem}"


@dataclass(frozen=True, slots=True)
class WiringReport:
    """What :func:`wsgraph.testing.check_wiring` looked at and what it found.

    Attributes:
        pairs: pairs of neurons whose parameters were tested.
        features: node parameters (biases) that were tested.
        flows: neurons followed through an operator, in search of influence without an edge.
        faults: wrong connections.
        unchecked: edge blocks with parameters that the test could say nothing about, with the reason.
    """

    pairs: int
    features: int
    flows: int
    faults: tuple[WiringFault, ...]
    unchecked: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; see also ``unchecked``."""
        return not self.faults

    def __str__(self) -> str:
        head = f"{self.pairs} pairs, {self.features} node parameters and {self.flows} flows tested"
        lines = [f"{head}: {len(self.faults)} faults, {len(self.unchecked)} unchecked"]
        lines += [f"  fault: {fault}" for fault in self.faults]
        lines += [f"  unchecked: {text}" for text in self.unchecked]
        return "\n".join(lines)
