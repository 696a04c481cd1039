"""Images as networks: SIRENs fitted to them, many at once and reproducible from a seed."""

from __future__ import annotations

from wsgraph_encoders.inrs.canonical import canonical
from wsgraph_encoders.inrs.fit import fit_sirens
from wsgraph_encoders.inrs.siren import Siren, coordinates, psnr, render, unstack

__all__ = ["Siren", "canonical", "coordinates", "fit_sirens", "psnr", "render", "unstack"]
