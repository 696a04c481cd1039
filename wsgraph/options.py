"""The choices a compilation can be given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wsgraph.errors import WsgraphError

__all__ = ["Attention", "CompileOptions", "Unsupported"]

Attention = Literal["full", "diagonal-v"]
"""Edges into an attention's mixing nodes: all-to-all inside a head, or from v only one to one."""

Unsupported = Literal["error", "opaque"]
"""What happens to an operator with parameters that no plugin lowers."""


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How a model is compiled; the defaults are the paper's.

    Args:
        attention: ``full`` connects q, k and v to every mixing node of their head (App. F.2);
            ``diagonal-v`` keeps only the edges v_b -> z_b.
        unsupported: ``error`` stops at an operator that no plugin lowers; ``opaque`` makes it one learned
            all-to-all block and says so in the ledger.
        allow: packages besides torch, torchvision, timm and transformers whose module classes a pickled
            model may name.

    Raises:
        WsgraphError: an option has a value that it does not take.
    """

    attention: Attention = "full"
    unsupported: Unsupported = "error"
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_choice("attention", self.attention, get_args(Attention))
        _check_choice("unsupported", self.unsupported, get_args(Unsupported))
        # A bare string is iterable too: "mypkg" would silently allow packages named m, y, p, ...
        if not isinstance(self.allow, tuple):
            raise WsgraphError(
                f"CompileOptions(allow=...) takes a tuple of package names, got {self.allow!r}",
                remedy='write allow=("mypkg",)',
            )
        for package in self.allow:
            if not isinstance(package, str) or not all(part.isidentifier() for part in package.split(".")):
                raise WsgraphError(
                    f"CompileOptions(allow=...): {package!r} is not a package name",
                    remedy='name the package as Python imports it, such as "mypkg"',
                )


def _check_choice(option: str, got: str, choices: tuple[str, ...]) -> None:
    if got not in choices:
        raise WsgraphError(
            f"CompileOptions({option}=...) takes {' or '.join(map(repr, choices))}, got {got!r}",
            remedy=f"leave {option} out for the default, {choices[0]!r}",
        )
