"""git-re-basin's permutation specification (Ainsworth et al. 2023, arXiv:2209.04836), from the symmetries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsgraph.symmetry.analysis import analyse

if TYPE_CHECKING:
    from wsgraph.events.stream import EventStream
    from wsgraph.events.structure import Structure
    from wsgraph.symmetry.model import Symmetry

__all__ = ["PermutationSpec", "permutation_spec"]


@dataclass(frozen=True, slots=True)
class PermutationSpec:
    """Which axes of which tensors each permutation acts on.

    Attributes:
        perm_to_axes: permutation name to its (tensor, axis) pairs.
        axes_to_perm: tensor name to the permutation of each axis, or None; all of the model's tensors.
        left_out: groups that the form cannot express: it permutes whole axes, unit by unit, and has no place
            for heads, groups of a convolution or slices of an axis.
    """

    perm_to_axes: dict[str, list[tuple[str, int]]]
    axes_to_perm: dict[str, tuple[str | None, ...]]
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "perm_to_axes": {name: [list(pair) for pair in axes] for name, axes in self.perm_to_axes.items()},
            "axes_to_perm": {name: list(axes) for name, axes in self.axes_to_perm.items()},
            "left_out": list(self.left_out),
        }


def permutation_spec(stream: EventStream) -> PermutationSpec:
    """The symmetries of a stream in git-re-basin's form; weights are not needed.

    Raises:
        StructureError: the structure's notes on its neurons are malformed.
    """
    analysis = analyse(stream.structure)
    found = [analysis.describe(group) for group in analysis.groups]
    whole = [s for s in found if _is_whole(s, stream.structure)]
    perm_to_axes = {f"P{k}": [(m.parameter, m.dimension) for m in s.members] for k, s in enumerate(whole)}
    owner = {pair: name for name, axes in perm_to_axes.items() for pair in axes}
    axes_to_perm = {}
    for name, spec in stream.structure.tensors.items():
        held = stream.structure.storage_name(name)
        axes_to_perm[name] = tuple(owner.get((held, d)) for d in range(len(spec.shape)))
    return PermutationSpec(perm_to_axes, axes_to_perm, tuple(repr(s) for s in found if s not in whole))


def _is_whole(symmetry: Symmetry, structure: Structure) -> bool:
    """Whether unit u is position u of every axis, and every axis has just these units."""
    return bool(symmetry.members) and all(
        m.strided == (0, 1, 1)
        and m.positions.shape[1] == 1
        and m.within is None
        and structure.tensors[m.parameter].shape[m.dimension] == symmetry.size
        for m in symmetry.members
    )
