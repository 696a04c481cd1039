"""Results that are kept as long as the tensor that they were worked out from does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["Remembered"]

Result = TypeVar("Result")


class Remembered(Generic[Result]):
    """A function of one tensor that remembers its last result.

    Args:
        function: from the tensor to the result, which nobody changes.
    """

    def __init__(self, function: Callable[[Tensor], Result]) -> None:
        self._function = function
        self._last: tuple[tuple[object, ...], Tensor, Result] | None = None

    def __call__(self, tensor: Tensor) -> Result:
        """The function's result."""
        if torch.compiler.is_compiling() or tensor.is_inference():
            return self._function(tensor)
        version, last = tensor._version, self._last  # noqa: SLF001  torch has no public count of changes
        if last is not None and last[1] is tensor and last[0][0] == version:
            return last[2]
        key = version, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device
        result = self._function(tensor) if last is None or last[0] != key else last[2]
        # Holding the tensor keeps its address from being given to others.
        self._last = key, tensor, result
        return result
