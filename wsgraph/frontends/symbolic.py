"""Sizes and numbers that a trace leaves symbolic: dynamic sizes are made concrete, others depend on data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsgraph.errors import FrontendError

__all__ = ["SYMBOLIC", "Unknown", "concrete", "data_dependent", "is_data_dependent", "static_shape"]

SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)
"""What stands for a number in a traced graph."""

_DEPENDS = "the forward depends on the data"
_SIGNS = (_DEPENDS, "data-dependent", "Data-dependent", "GuardOnDataDependentSymNode", "local_scalar_dense")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A number read out of a tensor; an error only where something uses it.

    Attributes:
        key: the operator that reads it.
        scope: where.
    """

    key: str
    scope: str


def concrete(number: Any) -> Any:
    """The number; a dynamic size is the one it was exported with. None where it depends on the data."""
    return number.node.hint if isinstance(number, SYMBOLIC) else number


def static_shape(tensor: Tensor, key: str, scope: str) -> tuple[int, ...]:
    """The tensor's sizes.

    Raises:
        FrontendError: a size depends on the data.
    """
    sizes = [concrete(size) for size in tensor.shape]
    if any(size is None for size in sizes):
        raise data_dependent(f"the shape of {key}'s result", scope)
    return tuple(int(size) for size in sizes)


def is_data_dependent(error: Exception) -> bool:
    """Whether torch says that it could not go on without an input's numbers."""
    return any(sign in f"{type(error).__name__}: {error}" for sign in _SIGNS)


def data_dependent(what: str, scope: str = "") -> FrontendError:
    """The error for a forward that is not the same graph for every input."""
    where = f", at {scope}" if scope else ""
    return FrontendError(
        f"{_DEPENDS}, so it has no fixed graph: {what}{where}",
        remedy="rewrite the forward so that shapes alone decide it, or compile the part of the model that "
        "does not depend on the data",
    )
