"""Tracing a forward that asks constants for their numbers: the answers are the constants'.

torch.export traces with tensors that have no numbers, so it stops at ``mask.any().item()`` even where
``torch.ones`` made the mask. Here every tensor that depends on neither input nor weights has its numbers
computed beside the trace, and whoever asks for them is told.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["telling_constants"]

_FACTORIES = frozenset(
    (torch.ones, torch.zeros, torch.full, torch.arange, torch.tensor, torch.eye, torch.linspace)
)
_BY_SHAPE = frozenset(
    (
        torch.ones_like, torch.zeros_like, torch.full_like,
        Tensor.new_zeros, Tensor.new_ones, Tensor.new_full,
    )
)  # fmt: skip
_QUESTIONS = frozenset(
    (
        Tensor.item, Tensor.tolist, Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__,
        Tensor.__contains__,
    )
)  # fmt: skip
_WRITES = frozenset((Tensor.__setitem__,))
_LARGEST = 1 << 22
"""Elements up to which a constant's numbers are kept."""


class _KnowsConstants(TorchFunctionMode):
    """Runs what is called on constants a second time, on their numbers."""

    def __init__(self) -> None:
        super().__init__()
        # The traced tensors are kept too, so that no other one gets their identity.
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        call = (tuple(args), dict(kwargs or {}))
        numbers = self._numbers(func, *call)
        if func in _QUESTIONS and numbers is not None:
            return _computed(func, *numbers)
        result = func(*call[0], **call[1])
        if _writes(func) and numbers is None and args:
            self._forget(args[0])
        if numbers is not None:
            self._remember(result, _computed(func, *numbers))
        return result

    def _numbers(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """The call on numbers instead of traced tensors; None where not all of them are known."""
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        by_shape = func in _BY_SHAPE
        if any(id(t) not in self._known and not by_shape for t in tensors):
            return None
        if not tensors and func not in _FACTORIES:
            return None
        sizes = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.SymInt)]
        if sizes or any(t.numel() > _LARGEST for t in tensors):
            return None

        def number(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return "cpu" if isinstance(leaf, torch.device) else leaf
            return self._known[id(leaf)][1] if id(leaf) in self._known else _stand_in(leaf)

        found: tuple[Any, Any] = tree_map(number, (args, kwargs))
        if "device" in found[1]:
            found[1]["device"] = "cpu"
        return found

    def _remember(self, result: Any, numbers: Any) -> None:
        for traced, known in zip(tree_leaves(result), tree_leaves(numbers), strict=False):
            if isinstance(traced, Tensor) and isinstance(known, Tensor):
                self._known[id(traced)] = (traced, known)

    def _forget(self, written: Any) -> None:
        """A constant into which something else was written is none, nor is what shares its memory."""
        entry = self._known.get(id(written))
        if entry is not None:
            memory = entry[1].untyped_storage().data_ptr()
            shared = [k for k, (_, t) in self._known.items() if t.untyped_storage().data_ptr() == memory]
            for key in shared:
                del self._known[key]


def _writes(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    return func in _WRITES or (name.endswith("_") and not name.endswith("__"))


def _computed(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The call outside the trace; nothing where it does not work out on numbers alone."""
    with _disable_current_modes(), torch._C.DisableTorchFunction():  # noqa: SLF001  torch has no public name for it
        try:
            return func(*args, **kwargs)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            return None


def _stand_in(leaf: Tensor) -> Tensor:
    with _disable_current_modes():
        return torch.zeros(tuple(int(n) for n in leaf.shape), dtype=leaf.dtype)


@contextlib.contextmanager
def telling_constants() -> Iterator[None]:
    """Context in which a traced forward may ask constants for their numbers."""
    with _KnowsConstants():
        yield
