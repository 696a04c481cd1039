"""Encoders over compiled event streams: the DNG-Encoder and what is built on it (DESIGN section 8).

Importing this package is cheap: torch is imported when a name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.lazy_names import lazy_names

if TYPE_CHECKING:
    from wsgraph_encoders.batch import Batch, Group, collate
    from wsgraph_encoders.config import DNGConfig, Layout
    from wsgraph_encoders.dng import DNGEncoder, Encoded
    from wsgraph_encoders.inr2jls import INR2JLS, INR2JLSConfig

__all__ = [
    "INR2JLS",
    "Batch",
    "DNGConfig",
    "DNGEncoder",
    "Encoded",
    "Group",
    "INR2JLSConfig",
    "Layout",
    "collate",
]

_HOMES = {
    "Batch": "batch",
    "DNGConfig": "config",
    "DNGEncoder": "dng",
    "Encoded": "dng",
    "Group": "batch",
    "INR2JLS": "inr2jls",
    "INR2JLSConfig": "inr2jls",
    "Layout": "config",
    "collate": "batch",
}


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
