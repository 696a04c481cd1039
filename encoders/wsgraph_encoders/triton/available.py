"""Whether messages of a tensor can be computed by the kernels."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fused_on"]

_INSTALLED = importlib.util.find_spec("triton") is not None


def fused_on(like: Tensor) -> bool:
    """Whether the kernels take over: float32 on CUDA, with Triton installed.

    Args:
        like: a tensor of the encoder's device and dtype.
    """
    return like.is_cuda and like.dtype == torch.float32 and _INSTALLED
