"""The bytes of tensors: for hashing, and for comparing bit for bit (NaN equals itself there)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["same_bits", "tensor_bytes"]


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The elements' bytes in row-major order; without a copy for contiguous tensors in main memory."""
    return _as_uint8(tensor.cpu()).numpy().data


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have one shape, one dtype and the same bits."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a is b or (a.data_ptr() == b.data_ptr() and a.stride() == b.stride()):
        return True
    return torch.equal(_as_uint8(a), _as_uint8(b))


def _as_uint8(tensor: Tensor) -> Tensor:
    """The bytes ``[n]``. Tensors of one element may keep any stride; a view as bytes wants it to be 1."""
    flat = tensor.detach().contiguous()
    return flat.as_strided((flat.numel(),), (1,), flat.storage_offset()).view(torch.uint8)
