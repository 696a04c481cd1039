"""Symmetries of networks: derived from the event stream, applied, exported (DESIGN section 7)."""

from wsgraph.symmetry.analysis import symmetries
from wsgraph.symmetry.model import Member, Symmetry
from wsgraph.symmetry.permute import permute

__all__ = ["Member", "Symmetry", "permute", "symmetries"]
