"""Groups of neurons: what a contraction or a sum over positions leaves of an axis (DESIGN section 4).

A neuron axis that varies along a contracted and along a kept dimension leaves a quotient axis, its kept
part: the head of (head, d). Kept positions belong to one group when they meet the same neurons; where they
meet only partly the same ones, as queries do with relative positions, whatever overlaps is one group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.provenance.axes import distinct_labels, distinct_rows, restrict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph.provenance.axes import Axis

__all__ = ["gather_groups", "quotient", "remaining_axes"]


def quotient(table: Tensor) -> Tensor:
    """Number the groups of rows that share labels.

    Args:
        table: labels ``[n_rows, n]``; -1 is no label.

    Returns:
        ``[n_rows]``, the group of each row, in order of first appearance.
    """
    rank, first = distinct_rows([table[:, 0], table[:, -1]])
    if not bool((table[first][rank] == table).all()):
        rank, first = distinct_rows(list(table.unbind(1)))
    rows = table[first]
    if len(rows) == 1 or _disjoint(rows):
        return rank
    return distinct_rows([_components(rows)[rank]])[0]


def _disjoint(rows: Tensor) -> bool:
    """Whether no label appears in two rows."""
    low, high = rows.amin(1), rows.amax(1)
    order = low.argsort()
    if bool((low >= 0).all()) and bool((high[order[:-1]] < low[order[1:]]).all()):
        return True  # heads are intervals nearly always
    ordered = rows.sort(1).values
    new = ordered >= 0
    new[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    return int(new.sum()) == len(distinct_labels(rows[rows >= 0]))


def _components(rows: Tensor) -> Tensor:
    """The smallest row number in each row's connected component, ``[n_rows]``."""
    present = rows >= 0
    labels, compact = torch.unique(rows.clamp(min=0), return_inverse=True)
    component = torch.arange(len(rows))
    while True:
        offered = torch.where(present, component.unsqueeze(1), len(rows))
        by_label = torch.full((len(labels),), len(rows)).scatter_reduce(
            0, compact.reshape(-1), offered.reshape(-1), "amin"
        )
        met = torch.where(present, by_label[compact], len(rows)).amin(1)
        merged = torch.minimum(component, met)
        # A row whose representative has itself found a smaller one follows it: rounds grow with the
        # logarithm of a chain's length.
        merged = merged[merged]
        if torch.equal(merged, component):
            return component
        component = merged


def gather_groups(group: Tensor, table: Tensor) -> Tensor:
    """The labels that the rows of each group meet.

    Args:
        group: ``[n_rows]``, the group of each row; groups are numbered 0, 1, ...
        table: labels ``[n_rows, n]``; -1 is no label.

    Returns:
        ``[n_groups, width]``; a group with fewer labels than the widest repeats its last one.
    """
    groups, low = int(group.max()) + 1, int(table.min())
    if len(table) == groups and low >= 0:
        return table[group.argsort()]
    span = int(table.max()) - low + 1
    keys = distinct_labels((group.unsqueeze(1) * span + (table - low)).reshape(-1))
    owner, label = keys // span, keys % span + low
    kept = (label >= 0) | _empty(group, table, groups)[owner]
    owner, label = owner[kept], label[kept]
    counts = torch.bincount(owner, minlength=groups)
    starts = counts.cumsum(0) - counts
    column = torch.arange(int(counts.max())).expand(groups, -1)
    gathered: Tensor = label[starts.unsqueeze(1) + torch.minimum(column, counts.unsqueeze(1) - 1)]
    return gathered


def _empty(group: Tensor, table: Tensor, groups: int) -> Tensor:
    """Groups that meet no label at all keep their -1, ``[n_groups]``."""
    some = torch.zeros(groups, dtype=torch.bool)
    if int(table.min()) >= 0:
        return some
    some[group[(table >= 0).any(1)]] = True
    return ~some


def remaining_axes(axes: Sequence[Axis], kept: Sequence[int], shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """What is left of axes when dimensions are contracted or reduced; positions along these alone are gone.

    Args:
        axes: the axes.
        kept: dimensions that stay.
        shape: the result's shape, of as many elements as the kept dimensions.
    """
    out = []
    for axis in axes:
        moved = axis.with_labels(restrict(axis.labels, kept).reshape(shape))
        if moved.dims or not axis.is_sites:
            out.append(moved)
    return tuple(out)
