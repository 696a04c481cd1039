"""One network to compile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["Case", "Inputs"]

Inputs: TypeAlias = "str | list[str | Tensor] | None"
"""What goes in, as :func:`wsgraph.compile` takes it; None to have it worked out."""


@dataclass(frozen=True)
class Case:
    """A network and its place in the table.

    Attributes:
        group: ``timm``, ``timm-further``, ``torchvision``, ``transformers`` or ``classics``.
        family: the row of the table; timm's module, torchvision's model, ...
        name: the model.
        build: makes it, and says what goes in.
    """

    group: str
    family: str
    name: str
    build: Callable[[], tuple[nn.Module, Inputs]]

    @property
    def key(self) -> str:
        """Unique name, ``timm/vgg/vgg11``."""
        return f"{self.group}/{self.family}/{self.name}"
