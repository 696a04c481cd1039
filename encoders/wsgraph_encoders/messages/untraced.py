"""Functions that ``torch.compile`` leaves alone."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["untraced"]

P = ParamSpec("P")
R = TypeVar("R")


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """A function that runs as it is where a traced one calls it.

    For what depends on the weights' values, and is in tiles already. Unlike ``torch.compiler.disable`` as a
    decorator it does not import Dynamo, which takes seconds, unless something is being compiled.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            plain: Callable[P, R] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]  # torch's
            return plain(*args, **kwargs)
        return function(*args, **kwargs)

    return call
