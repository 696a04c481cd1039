"""Narrow floating-point numbers as wide ones: where a model is run in float64, all of it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["WIDE", "widened"]

WIDE = {
    **dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64),
    **dict.fromkeys((torch.complex64, torch.complex32), torch.complex128),
}
"""What takes the place of narrow types."""


def widened(leaf: Any) -> Any:
    """A tensor of narrow numbers, real or complex, or their type, made wide; anything else as it is."""
    if isinstance(leaf, torch.dtype):
        return WIDE.get(leaf, leaf)
    return leaf.to(WIDE.get(leaf.dtype, leaf.dtype)) if isinstance(leaf, Tensor) else leaf
