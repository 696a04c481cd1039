"""Reading what the compiler noted about neurons (``wsgraph.lowering.interchange``) from a structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsgraph.errors import StructureError

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.events.structure import Structure

__all__ = ["PINNED_ROLES", "Notes", "read_notes"]

PINNED_ROLES = frozenset({"input", "output", "position", "constant", "parameter"})
"""Roles of nodes that stand for themselves: what they are is fixed from outside the network."""


@dataclass(eq=False)
class Notes:
    """What keeps neurons apart, by block.

    Attributes:
        pinned: ids of blocks whose nodes stay where they are.
        classes: block id to the class of each node ``[size]``.
        couples: (block id, group of each node ``[size]``, -1 for none).
        meetings: (block id, block id, pairs of positions ``[2, k]``).
        scales: block id to the kinds of scale that all operators on its nodes allow.
        known: False where the compiler could not tell: nothing may be claimed then.
    """

    pinned: set[int] = field(default_factory=set)
    classes: dict[int, Tensor] = field(default_factory=dict)
    couples: list[tuple[int, Tensor]] = field(default_factory=list)
    meetings: list[tuple[int, int, Tensor]] = field(default_factory=list)
    scales: dict[int, tuple[str, ...]] = field(default_factory=dict)
    known: bool = True


def read_notes(structure: Structure) -> Notes:
    """The notes of a structure.

    Raises:
        StructureError: a note is malformed, or its index tensor does not fit its block.
    """
    notes = Notes()
    lines = structure.meta.get("symmetry")
    if not isinstance(lines, tuple):
        notes.known = False
        return notes
    notes.pinned = {n.id for n in structure.nodes if n.attrs.get("role") in PINNED_ROLES or _opaque(n.attrs)}
    for edge in structure.edges:
        if _opaque(edge.attrs):
            notes.pinned.add(edge.dst)
            notes.pinned.update(part.block for part in edge.src.parts)
    for line in lines:
        _read(str(line), structure, notes)
    return notes


def _opaque(attrs: object) -> bool:
    return isinstance(attrs, dict) and bool(attrs.get("opaque"))


def _read(line: str, structure: Structure, notes: Notes) -> None:
    match line.split(" "):
        case ["unknown"]:
            notes.known = False
        case ["pin", block]:
            notes.pinned.add(_block(block, structure))
        case ["scale", block, *kinds]:
            notes.scales[_block(block, structure)] = tuple(kinds)
        case ["class", block, name]:
            notes.classes[_block(block, structure)] = _table(name, structure, block)
        case ["couple", block, name]:
            notes.couples.append((_block(block, structure), _table(name, structure, block)))
        case ["meet", left, right, name]:
            pairs = structure.indices.get(name)
            sizes = [structure.node_by_id[_block(b, structure)].size for b in (left, right)]
            if pairs is None or pairs.dim() != 2 or pairs.shape[0] != 2 or not _within(pairs, sizes):
                raise StructureError(f"symmetry note {line!r}: its index tensor does not fit the blocks")
            notes.meetings.append((_block(left, structure), _block(right, structure), pairs.long()))
        case _:
            raise StructureError(f"symmetry note {line!r} is malformed")


def _block(text: str, structure: Structure) -> int:
    number = text.removeprefix("n")
    if not number.isdecimal() or int(number) not in structure.node_by_id:
        raise StructureError(f"a symmetry note names the node block {text!r}, which does not exist")
    return int(number)


def _table(name: str, structure: Structure, block: str) -> Tensor:
    table = structure.indices.get(name)
    size = structure.node_by_id[_block(block, structure)].size
    if table is None or tuple(table.shape) != (size,):
        raise StructureError(f"symmetry note for {block}: index tensor {name!r} does not have shape [{size}]")
    return table.long()


def _within(pairs: Tensor, sizes: list[int]) -> bool:
    if not pairs.numel():
        return True
    return int(pairs.min()) >= 0 and all(int(row.max()) < n for row, n in zip(pairs, sizes, strict=True))
