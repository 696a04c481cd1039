"""The ledger: every element of every tensor accounted for, once, from the views themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from wsgraph.errors import LedgerError
from wsgraph.events.blocks import ParamView
from wsgraph.events.coverage import consecutive_elements, covers_all, mark_elements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.structure import Structure, TensorKind, TensorSpec

__all__ = ["STATUSES", "Ledger", "LedgerRow", "Status", "make_ledger"]

Status = Literal["lowered", "opaque", "derived", "tied", "unused", "constant", "lost"]

STATUSES: tuple[Status, ...] = ("lowered", "opaque", "derived", "tied", "unused", "constant")
"""What an element may be, in this order of precedence; ``lost`` is an error."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The account of one tensor.

    Attributes:
        name: the tensor's name.
        kind: parameter or buffer.
        numel: number of its elements.
        counts: how many of them have each status; statuses without elements are left out.
    """

    name: str
    kind: TensorKind
    numel: int
    counts: Mapping[Status, int]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The account of a model: one row a tensor. ``str(ledger)`` is a table of the totals."""

    rows: tuple[LedgerRow, ...]

    def total(self, status: Status, kind: TensorKind = "parameter") -> int:
        """Number of elements of one kind that have a status."""
        return sum(row.counts.get(status, 0) for row in self.rows if row.kind == kind)

    @property
    def totals(self) -> dict[Status, int]:
        """Number of elements a status, parameters and buffers together, all statuses listed."""
        return {status: self.total(status) + self.total(status, "buffer") for status in STATUSES}

    def numel(self, kind: TensorKind = "parameter") -> int:
        """Number of elements of one kind."""
        return sum(row.numel for row in self.rows if row.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """The ledger as JSON data: ``totals`` of parameters and buffers, and the ``rows``."""
        kinds: tuple[TensorKind, ...] = ("parameter", "buffer")
        return {
            "totals": {
                kind: {"elements": self.numel(kind)}
                | {status: self.total(status, kind) for status in STATUSES}
                for kind in kinds
            },
            "rows": [
                {"name": row.name, "kind": row.kind, "elements": row.numel, **row.counts} for row in self.rows
            ],
        }

    def __str__(self) -> str:
        lines = [f"{'':10}  {'parameters':>16}  {'buffers':>16}"]
        for status in STATUSES:
            counts = self.total(status), self.total(status, "buffer")
            if any(counts):
                lines.append(f"{status:10}  {counts[0]:>16,}  {counts[1]:>16,}")
        return "\n".join([*lines, f"{'total':10}  {self.numel():>16,}  {self.numel('buffer'):>16,}"])


@dataclass(slots=True)
class _Readers:
    """What reads one tensor."""

    lowered: list[ParamView] = field(default_factory=list)
    opaque: list[ParamView] = field(default_factory=list)
    derived: bool = False


def make_ledger(structure: Structure) -> Ledger:
    """Account for every element of the structure's tensors.

    Raises:
        LedgerError: a parameter has elements that no feature reads and nothing else accounts for.
    """
    readers = _collect_readers(structure)
    rows = tuple(_account(spec, readers[name], structure) for name, spec in structure.tensors.items())
    lost = [f"{row.name} ({row.counts['lost']:,} of {row.numel:,})" for row in rows if "lost" in row.counts]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise LedgerError(
            f"elements of {len(lost)} parameters would be lost: {', '.join(lost[:5])}{more}",
            remedy="the lowering of the operator that reads them must make a feature of them; "
            "--unsupported opaque stands in for operators without a lowering",
        )
    return Ledger(rows)


def _collect_readers(structure: Structure) -> dict[str, _Readers]:
    """For each tensor the views that read it; those of tied tensors count for the one that they share."""
    readers = {name: _Readers() for name in structure.tensors}

    def record(view: ParamView, *, opaque: bool) -> None:
        if view.name in structure.derived:
            stored = (s for s in structure.derived[view.name].sources if s not in structure.indices)
            for source in stored:
                readers[structure.storage_name(source)].derived = True
            return
        entry = readers[structure.storage_name(view.name)]
        (entry.opaque if opaque else entry.lowered).append(view)

    for node in structure.nodes:
        for view in node.features.values():
            record(view, opaque=bool(node.attrs.get("opaque")))
    for edge in structure.edges:
        if isinstance(edge.feature, ParamView):
            record(edge.feature, opaque=bool(edge.attrs.get("opaque")))
    return readers


def _account(spec: TensorSpec, readers: _Readers, structure: Structure) -> LedgerRow:
    numel = math.prod(spec.shape)
    if numel == 0 or spec.tied_to is not None:
        return LedgerRow(spec.name, spec.kind, numel, {"tied": numel} if numel else {})
    claims: list[tuple[Status, list[ParamView]]] = [("lowered", readers.lowered), ("opaque", readers.opaque)]
    whole = ParamView(spec.name, (numel,), (1,))
    if readers.derived:
        claims.append(("derived", [whole]))
    if spec.unread is not None:
        positions = None if spec.unread == "all" else spec.unread
        shape = (numel,) if positions is None else tuple(structure.indices[positions].shape)
        unread = whole if positions is None else ParamView(spec.name, shape, None, index=positions)
        claims.append(("unused", [unread]))
    claims.append(("constant" if spec.kind == "buffer" else "lost", [whole]))
    return LedgerRow(spec.name, spec.kind, numel, _count(claims, numel, structure))


def _count(
    claims: list[tuple[Status, list[ParamView]]], numel: int, structure: Structure
) -> dict[Status, int]:
    """Give each element to the first claim whose views read it."""
    mask = None
    counts: dict[Status, int] = {}
    taken = 0
    for status, views in claims:
        if mask is None and views:
            intervals = [consecutive_elements(view) for view in views]
            if covers_all([interval for interval in intervals if interval is not None], numel):
                return {status: numel}
            mask = torch.zeros(numel, dtype=torch.bool)
        if mask is not None:
            mark_elements(views, mask, structure.indices)
            count = int(mask.count_nonzero())
            if count > taken:
                counts[status] = count - taken
            taken = count
    return counts
