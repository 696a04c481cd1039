"""Builds a model for its structure: its parameters are neither initialised nor given memory."""

from __future__ import annotations

import random
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["skeleton"]

_SMALL = 4096
"""Tensors up to this many elements are computed for real, which costs nothing."""

_FILLERS = frozenset(
    {
        *(
            "normal_",
            "uniform_",
            "trunc_",
            "bernoulli_",
            "cauchy_",
            "exponential_",
            "log_normal_",
            "kaiming_uniform_",
        ),
        *("fill_", "fill_diagonal_", "constant_", "zero_", "copy_", "__setitem__"),
        *("abs_", "add_", "clamp_", "clip_", "div_", "erfinv_", "mul_", "neg_", "sqrt_", "sub_"),
    }
)
_RANDOM = frozenset({"rand", "rand_like", "randn", "randn_like"})


class _Untouched(TorchFunctionMode):
    """Skips what would only fill large parameters with starting values.

    Memory that nobody writes is never committed by the operating system. Everything that is not a
    parameter is computed as usual: position indices, masks and rotary tables are constants of the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parameters: dict[int, StorageWeakRef] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        arguments = dict(kwargs or {})
        target = args[0] if args else arguments.get("tensor")  # as torch.nn.init passes it on
        if isinstance(target, Tensor) and target.numel() > _SMALL and target.is_floating_point():
            if isinstance(target, nn.Parameter):
                self._remember(target)
            if name in _FILLERS and self._is_parameter(target):
                return target
        if name in _RANDOM:
            return _random(func, args, arguments)
        return func(*args, **arguments)

    def _remember(self, parameter: Tensor) -> None:
        reference = StorageWeakRef(parameter.untyped_storage())  # type: ignore[no-untyped-call]
        # The weak reference keeps the number from being used again by another storage.
        self._parameters.setdefault(reference.cdata, reference)

    def _is_parameter(self, tensor: Tensor) -> bool:
        return StorageWeakRef(tensor.untyped_storage()).cdata in self._parameters  # type: ignore[no-untyped-call]


def _random(func: Callable[..., Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """A random factory's result: real where it is small, else memory that nobody has written."""
    planned = func(*args, **{**kwargs, "device": "meta", "generator": None})
    if planned.numel() <= _SMALL:
        return func(*args, **kwargs)
    like = args[0].device if isinstance(args[0], Tensor) else None
    empty = torch.empty(planned.shape, dtype=planned.dtype, device=kwargs.get("device", like))
    return empty.requires_grad_(planned.requires_grad)


@contextmanager
def skeleton() -> Iterator[None]:
    """Context in which models are built without initialising large parameters.

    The random number state of the process is as before afterwards.
    """
    python_state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), _Untouched():
            warnings.simplefilter("ignore")  # about initial values that are not used
            yield
    finally:
        random.setstate(python_state)
