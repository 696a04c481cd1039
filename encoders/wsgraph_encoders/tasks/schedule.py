"""The course of the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["warm_up_then_cosine"]

_WARM_UP = 0.05


def warm_up_then_cosine(steps: int) -> Callable[[int], float]:
    """Factor on the learning rate: up over the first twentieth of all steps, then down along a cosine.

    Args:
        steps: of the whole training.
    """
    rising = max(round(_WARM_UP * steps), 1)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        done = min((step - rising) / max(steps - rising, 1), 1.0)
        return 0.5 * (1 + math.cos(math.pi * done))

    return factor
