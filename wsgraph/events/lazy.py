"""Tensors of a safetensors file, mapped into memory when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

__all__ = ["LazyTensors"]


class LazyTensors(Mapping[str, Tensor]):
    """Some tensors of an open safetensors file, by name. Their bytes are read when they are used.

    Args:
        handle: an open ``safetensors.safe_open`` of framework ``pt``.
        names: names of the tensors; the file has them.
    """

    def __init__(self, handle: Any, names: tuple[str, ...]) -> None:
        self._handle = handle
        self._opened: dict[str, Tensor | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._opened[name]
        if tensor is None:
            opened: Tensor = self._handle.get_tensor(name)
            self._opened[name] = tensor = opened
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._opened)

    def __len__(self) -> int:
        return len(self._opened)

    def __reduce__(self) -> tuple[type[dict[str, Tensor]], tuple[dict[str, Tensor]]]:
        # An open file does not travel between processes, and the file may change: the tensors travel.
        return dict, (dict(self),)
