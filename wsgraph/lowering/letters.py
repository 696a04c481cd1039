"""The letters of an Einstein summation."""

from __future__ import annotations

import string

__all__ = ["parse_equation"]


def parse_equation(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Letters of each operand and of the result; an ellipsis becomes letters of its own.

    Args:
        equation: as torch.einsum takes it; without an arrow the result has the letters seen once, sorted.
        ranks: number of dimensions of each operand.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    operands = left.split(",")
    spare = [c for c in string.ascii_letters if c not in equation]
    widths = [r - len(o.replace("...", "")) for o, r in zip(operands, ranks, strict=True)]
    dots = "".join(spare[: max(widths, default=0)])
    names = [
        o.replace("...", dots[len(dots) - w :]) if "..." in o else o
        for o, w in zip(operands, widths, strict=True)
    ]
    if not arrow:
        once = sorted(c for c in set("".join(names)) if "".join(names).count(c) == 1 and c not in dots)
        return names, dots + "".join(once)
    return names, right.replace("...", dots)
