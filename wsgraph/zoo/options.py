"""The options of an import: those of every format, and each format's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsgraph.errors import ZooError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ImportOptions"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a zoo is imported.

    Attributes:
        arch: architecture of bare state dicts, as for ``wsgraph compile --arch``.
        inputs: input shapes, as for ``--input``.
        allow: packages whose classes a pickle may name.
        settings: the format's own options by name (``--set name=value``).
    """

    arch: str | None = None
    inputs: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def check(self, *known: str) -> None:
        """Reject settings that the format does not have.

        Raises:
            ZooError: there is one.
        """
        if unknown := sorted(set(self.settings) - set(known)):
            has = f"its settings are {', '.join(known)}" if known else "it has no settings"
            raise ZooError(f"the format has no setting {unknown[0]!r}", remedy=f"{has} (--set NAME=VALUE)")

    def integer(self, name: str) -> int | None:
        """A setting that is a whole number, or None where it is not given.

        Raises:
            ZooError: it is something else.
        """
        text = self.settings.get(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise ZooError(f"the setting {name} is a whole number, got {text!r}") from error

    def flag(self, name: str) -> bool:
        """A setting that is true or false; false where it is not given.

        Raises:
            ZooError: it is something else.
        """
        text = self.settings.get(name, "false").lower()
        if text not in {"true", "false", "1", "0", "yes", "no"}:
            raise ZooError(f"the setting {name} is true or false, got {text!r}")
        return text in {"true", "1", "yes"}
