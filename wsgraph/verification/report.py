"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Check", "Verification"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: what was checked.
        passed: whether it holds.
        detail: what was looked at, or what is wrong.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks of one model; ``str()`` is a table."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        rows = [{"check": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks]
        return {"ok": self.ok, "checks": rows}

    def __str__(self) -> str:
        width = max((len(c.name) for c in self.checks), default=0)
        return "\n".join(
            f"{c.name.ljust(width)}  {'ok    ' if c.passed else 'FAILED'}  {c.detail}" for c in self.checks
        )
