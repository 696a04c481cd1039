"""Scale symmetries: positive factors through ReLU, signs through odd functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["scale_symmetries"]

if TYPE_CHECKING:
    from wsgraph.symmetry.analysis import Analysis
    from wsgraph.symmetry.model import Symmetry


def scale_symmetries(analysis: Analysis) -> list[Symmetry]:
    """Scales."""
    del analysis
    return []
