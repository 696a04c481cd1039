"""Activations by the names that zoos' configurations give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from wsgraph.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["ACTIVATIONS", "activation"]


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky_relu": functional.leaky_relu,
    "leakyrelu": functional.leaky_relu,
    "elu": functional.elu,
    "selu": functional.selu,
    "silu": functional.silu,
    "swish": functional.silu,
    "softplus": functional.softplus,
    "none": _identity,
    "linear": _identity,
    "identity": _identity,
}
"""Functions by name."""


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function of a name.

    Raises:
        CheckpointError: the name is not known.
    """
    if name.lower() not in ACTIVATIONS:
        raise CheckpointError(f"unknown activation {name!r}, expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name.lower()]
