"""The translations, one operator family a file."""

from __future__ import annotations

from functools import cache
from importlib import import_module

__all__ = ["load_all"]

_FAMILIES = (
    "activation",
    "arithmetic",
    "attention",
    "casting",
    "comparison",
    "constant",
    "control",
    "convolution",
    "indexing",
    "linear",
    "movement",
    "normalization",
    "pooling",
    "quantization",
    "recurrent",
    "reduction",
    "resize",
    "scatter",
    "sequence",
)


@cache
def load_all() -> None:
    """Import every family, which registers its operators."""
    for family in _FAMILIES:
        import_module(f"{__name__}.{family}")
