"""Scale symmetries: positive factors through ReLU, signs through odd functions.

If all that goes into a neuron is multiplied by ``a``, and all that comes out of it by ``1 / a``, nothing
changes where everything in between is positively homogeneous (any a > 0), or odd (a = -1).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned, Pattern
from wsgraph.symmetry.model import Member, Symmetry
from wsgraph.symmetry.notes import read_notes
from wsgraph.symmetry.uses import indexed_names, uses_of

if TYPE_CHECKING:
    from wsgraph.events.blocks import EdgeBlock, NodeBlock, ParamView
    from wsgraph.symmetry.analysis import Analysis

__all__ = ["scale_symmetries"]

_STATISTICS = frozenset({"running_mean", "running_var"})
"""Features that belong to what goes into a normalisation, not to what comes out."""

_FACTORS = frozenset(
    f"aten.{name}"
    for name in (
        "mul", "batch_norm", "layer_norm", "native_layer_norm", "rms_norm", "group_norm", "instance_norm",
    )
)  # fmt: skip
"""Operators whose one-to-one edges are factors (a PReLU's are slopes, a division's are divisors)."""


def scale_symmetries(analysis: Analysis) -> list[Symmetry]:
    """The node blocks whose nodes may each be scaled by a factor of their own.

    Members with ``power`` 1 are multiplied by the factor, those with -1 divided by it.
    """
    structure = analysis.structure
    notes = read_notes(structure)
    if not notes.known:
        return []
    found: list[Symmetry] = []
    readers = _Readers(analysis)
    for node in structure.nodes:
        kinds = notes.scales.get(node.id, ())
        if kinds and node.id not in notes.pinned and node.attrs.get("role") == "hidden":
            members = readers.members(node)
            found.extend(_symmetry(node, kind, members) for kind in kinds if members)
    return found


def _symmetry(node: NodeBlock, kind: str, members: tuple[Member, ...]) -> Symmetry:
    units = torch.arange(node.size).unsqueeze(1)
    scope = node.attrs.get("scope")
    return Symmetry(node.size, kind, members, {node.id: units}, (str(scope),) if scope else ())


class _Readers:
    """Who reads which coordinates."""

    def __init__(self, analysis: Analysis) -> None:
        self.structure = analysis.structure
        uses = list(uses_of(analysis.structure, analysis.graph.node_base))
        self.uses = {id(use.view): use for use in uses}
        self.count = Counter(use.view.name for use in uses)
        self.count.update(indexed_names(analysis.structure))
        self.count.update(name for derived in analysis.structure.derived.values() for name in derived.sources)
        self.into: dict[int, list[EdgeBlock]] = {}
        self.out_of: dict[int, list[EdgeBlock]] = {}
        for edge in analysis.structure.edges:
            self.into.setdefault(edge.dst, []).append(edge)
            for block in {p.block for p in edge.src.parts}:
                self.out_of.setdefault(block, []).append(edge)

    def members(self, node: NodeBlock) -> tuple[Member, ...]:
        """Everything that goes into a block and comes out of it; empty if some of it cannot be scaled."""
        edges, out = self.into.get(node.id, []), self.out_of.get(node.id, [])
        if not edges or not out or any(isinstance(e.feature, Learned) or e.coo for e in (*edges, *out)):
            return ()
        if any(e.pattern is Pattern.ONE_TO_ONE and e.attrs.get("op") not in _FACTORS for e in (*edges, *out)):
            return ()
        by_id = self.structure.node_by_id
        if any("norm" in by_id[e.dst].attrs for e in out):
            return ()
        ingoing = [v for name, v in node.features.items() if name not in _STATISTICS]
        ingoing += [e.feature for e in edges if not isinstance(e.feature, Learned)]
        found = [self._member(node, view, "dst", 1) for view in ingoing]
        for edge in out:
            if not isinstance(edge.feature, Learned):
                role = "dst" if edge.pattern is Pattern.ONE_TO_ONE else "src"
                found.append(self._member(node, edge.feature, role, -1))
        members = tuple(m for m in found if m is not None)
        return members if len(members) == len(found) else ()

    def _member(self, node: NodeBlock, view: ParamView, role: str, power: int) -> Member | None:
        use = self.uses.get(id(view))
        alone = self.count[view.name] == 1
        if use is None or use.factored is None or not alone or use.groups > 1 or use.repeats:
            return None
        dims = use.factored.dims(role)
        ids = use.src if role == "src" and use.src.numel() else use.dst
        if len(dims) != 1 or view.name in self.structure.derived or len(ids) != node.size:
            return None
        at: Tensor = use.factored.coordinates(role, dims)
        return Member(view.name, dims[0], at, None, power)
