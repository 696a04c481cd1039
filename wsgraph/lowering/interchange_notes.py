"""Notes on neurons over global node numbers, and how they travel in a stream's structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.events.fingerprint import NOTES_PREFIX
from wsgraph.provenance.axes import distinct_rows

if TYPE_CHECKING:
    from wsgraph.lowering.assemble import Assembled

__all__ = ["SCALES", "Notes", "digest"]

SCALES = ("positive_scale", "sign")
"""Kinds of scale: any positive factor, or -1."""


class Notes:
    """What tells neurons apart, collected over a graph.

    Attributes:
        marks: ``[n]`` a number a node; nodes of one block with different numbers must not be interchanged.
        pinned: ``[n]`` nodes that must stay where they are.
        couples: (nodes ``[k]``, groups ``[k]``): what is computed of a group's nodes together.
        meetings: (nodes ``[k]``, nodes ``[k]``): pairs that are multiplied with each other.
        unscaled: for each kind of scale, nodes that go through an operator which does not allow it ``[n]``.
        unknown: True where positions are looked up that were not known when compiling.
    """

    def __init__(self, size: int) -> None:
        self.marks = torch.zeros(size, dtype=torch.int64)
        self.pinned = torch.zeros(size, dtype=torch.bool)
        self.unscaled = {kind: torch.zeros(size, dtype=torch.bool) for kind in SCALES}
        self.couples: list[tuple[Tensor, Tensor]] = []
        self.meetings: list[tuple[Tensor, Tensor]] = []
        self.unknown = False
        self._facts = 0

    def pin(self, ids: Tensor) -> None:
        """These nodes stay where they are."""
        self.pinned[ids[ids >= 0]] = True

    def mark(self, ids: Tensor, fact: int) -> None:
        """Something happens to these nodes (each given once) and not to others."""
        self.marks[ids] += _scramble(torch.tensor(fact + 1))

    def unscale(self, ids: Tensor, kind: str) -> None:
        """These nodes go through an operator that does not allow a kind of scale."""
        self.unscaled[kind].index_fill_(0, ids, value=True)

    def tell_apart(self, ids: Tensor, rows: Tensor) -> None:
        """Nodes with different sequences of rows differ.

        Args:
            ids: nodes ``[k]``, several times each where a node takes several positions.
            rows: ``[k, width]``, equal where the positions are alike.
        """
        present = ids >= 0
        ids, rows = ids[present], rows[present]
        if not len(ids):
            return
        if bool((rows == rows[:1]).all()):
            return
        kind = digest(rows)
        order = torch.argsort(ids, stable=True)
        ordered = ids[order]
        starts = torch.searchsorted(ordered, ordered)
        occurrence = torch.arange(len(ids)) - starts
        self._facts += 1
        facts = _scramble(kind[order] * 3 + _scramble(occurrence + 7) + _scramble(torch.tensor(-self._facts)))
        self.marks.index_add_(0, ordered, facts)

    def couple(self, ids: Tensor, groups: Tensor) -> None:
        """The nodes of a group are normalised together; one of several groups stays where it is."""
        present = ids >= 0
        ids, groups = ids[present], groups[present]
        _, first = distinct_rows([ids, groups])
        ids, groups = ids[first], groups[first]
        distinct, counts = torch.unique(ids, return_counts=True)
        self.pin(distinct[counts > 1])
        self.couples.append((ids, groups))

    def lines(self, assembled: Assembled) -> tuple[str, ...]:
        """The notes as text, one a line, over blocks and positions; index tensors are added to the blocks'.

        ``pin n3`` all of a block; ``scale n3 sign`` the kinds of scale its operators allow; ``class n3 I`` a
        class for each node; ``couple n3 I`` a group for each node (-1 for none); ``meet n3 n4 I`` pairs of
        positions ``[2, k]``; ``unknown`` for no claims at all.
        """
        return ("unknown",) if self.unknown else tuple(_Lines(self, assembled).run())


class _Lines:
    def __init__(self, notes: Notes, assembled: Assembled) -> None:
        self.notes = notes
        self.assembled = assembled
        self.names: dict[bytes, str] = {}

    def run(self) -> list[str]:
        out: list[str] = []
        for block, ids in zip(self.assembled.nodes, self.assembled.members, strict=True):
            pinned = self.notes.pinned[ids]
            out.extend(self._classes(block.id, pinned, self.notes.marks[ids]))
            if block.attrs.get("role") == "hidden" and not bool(pinned.any()):
                kinds = [kind for kind in SCALES if not bool(self.notes.unscaled[kind][ids].any())]
                out.extend([" ".join([f"scale n{block.id}", *kinds])] if kinds else [])
        for ids, groups in self.notes.couples:
            out.extend(self._couples(ids, groups))
        for left, right in self.notes.meetings:
            out.extend(self._meetings(left, right))
        return list(dict.fromkeys(out))

    def _classes(self, block: int, pinned: Tensor, marks: Tensor) -> list[str]:
        if bool(pinned.all()):
            return [f"pin n{block}"]
        if bool((marks == marks[0]).all()) and not bool(pinned.any()):
            return []
        _, kind = torch.unique(marks, return_inverse=True)
        kind = torch.where(pinned, len(marks) + torch.arange(len(marks)), kind)
        # In order of appearance: layers that are alike share one index tensor.
        rank, _ = distinct_rows([kind])
        return [f"class n{block} {self._index(rank)}"] if int(rank.max()) else []

    def _couples(self, ids: Tensor, groups: Tensor) -> list[str]:
        place = self.assembled.places(ids)
        out = []
        for block in torch.unique(place[:, 0]).tolist():
            here = place[:, 0] == block
            table = torch.full((self.assembled.nodes[block].size,), -1, dtype=torch.int64)
            table[place[here, 1]] = groups[here]
            out.append(f"couple n{block} {self._index(table)}")
        return out

    def _meetings(self, left: Tensor, right: Tensor) -> list[str]:
        present = (left >= 0) & (right >= 0)
        a, b = self.assembled.places(left[present]), self.assembled.places(right[present])
        out = []
        size = len(self.assembled.nodes)
        both = a[:, 0] * size + b[:, 0]
        kinds = torch.unique(both).tolist()
        for number in kinds:
            here = both == number if len(kinds) > 1 else slice(None)
            first, second = divmod(number, size)
            out.append(f"meet n{first} n{second} {self._index(torch.stack([a[here, 1], b[here, 1]]))}")
        return out

    def _index(self, table: Tensor) -> str:
        table = table.to(torch.int32).contiguous()
        key = str(tuple(table.shape)).encode() + table.numpy().tobytes()
        if key not in self.names:
            self.names[key] = f"{NOTES_PREFIX}{len(self.names)}"
            self.assembled.indices[self.names[key]] = table
        return self.names[key]


def _scramble(numbers: Tensor) -> Tensor:
    """A hash of integers (splitmix64's rounds, in wrapping arithmetic)."""
    x = numbers.to(torch.int64) * 0x1E3779B97F4A7C15 + 0x632BE59BD9B4E019
    x = (x ^ (x >> 30)) * -0x40A7B892E31B1A47
    x = (x ^ (x >> 27)) * -0x6B2FB644ECCEEE15
    return x ^ (x >> 31)


def digest(rows: Tensor) -> Tensor:
    """A hash of each row ``[..., width]``, by its numbers' bits: ``[...]``."""
    bits = rows.double().view(torch.int64) if rows.is_floating_point() else rows.long()
    columns = _scramble(torch.arange(1, rows.shape[-1] + 1))
    return _scramble(_scramble(bits) ^ columns).sum(-1)
