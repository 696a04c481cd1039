"""Encoders over compiled event streams: the DNG-Encoder and what is built on it (DESIGN section 8).

Importing this package is cheap: torch is imported when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
