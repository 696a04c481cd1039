"""The kernels. Dimensions as in :mod:`wsgraph_encoders.triton.single`; block sizes are BR, BS, BC, BE."""

from __future__ import annotations

__all__: list[str] = []
