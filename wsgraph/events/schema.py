"""Reading JSON with every field's presence, type and range checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from wsgraph.errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fields", "read_object"]

T = TypeVar("T")

_LARGEST = 1 << 53  # integers that every JSON reader keeps exact


class Fields:
    """The fields of one JSON object, taken out one by one; :meth:`done` then rejects what is left.

    Args:
        value: what should be an object.
        where: its place in the document, for messages (``nodes[3]``).

    Raises:
        FileFormatError: from every method: a field is missing, of another type, or out of range.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise FileFormatError(f"{where} is {_kind(value)}, expected an object")
        self._fields = dict(value)
        self.where = where

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def take(self, name: str) -> Any:
        """A field of any type."""
        if name not in self._fields:
            raise FileFormatError(f"{self.where} has no field {name!r}")
        return self._fields.pop(name)

    def text(self, name: str) -> str:
        """A string."""
        return self._typed(name, self.take(name), str, "a string")

    def optional_text(self, name: str) -> str | None:
        """A string, or None where the field is missing."""
        return self.text(name) if name in self else None

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of several strings."""
        value = self.text(name)
        if value not in choices:
            raise FileFormatError(f"{self.where}.{name} is {value!r}, expected one of {list(choices)}")
        return value

    def natural(self, name: str) -> int:
        """An integer from 0 to 2^53."""
        return self._natural(name, self.take(name))

    def number(self, name: str) -> float:
        """A number with a fractional part."""
        return self._typed(name, self.take(name), float, "a number with a fractional part")

    def naturals(self, name: str) -> tuple[int, ...]:
        """A list of integers from 0 to 2^53."""
        return tuple(self._natural(name, item) for item in self.items(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self._typed(name, item, str, "a string") for item in self.items(name))

    def items(self, name: str) -> list[Any]:
        """A list of anything."""
        return self._typed(name, self.take(name), list, "a list")

    def each(self, name: str, read: Callable[[Fields], T]) -> list[T]:
        """A list of objects, each read by ``read``, which has to take all of its fields."""
        return [
            read_object(item, f"{self.where}.{name}[{i}]", read) for i, item in enumerate(self.items(name))
        ]

    def named(self, name: str) -> dict[str, Any]:
        """An object whose fields' names are data."""
        return self._typed(name, self.take(name), dict, "an object")

    def done(self) -> None:
        """Reject fields that nobody has taken."""
        if self._fields:
            raise FileFormatError(f"{self.where} has unknown fields {sorted(self._fields)}")

    def _natural(self, name: str, value: object) -> int:
        number = self._typed(name, value, int, "an integer")
        if not 0 <= number <= _LARGEST:
            raise FileFormatError(f"{self.where}.{name} is {number}, expected 0 to {_LARGEST}")
        return number

    def _typed(self, name: str, value: object, kind: type[T], expected: str) -> T:
        # Exact types: JSON's true would pass for an integer otherwise.
        if type(value) is not kind:
            raise FileFormatError(f"{self.where}.{name} is {_kind(value)}, expected {expected}")
        return value


def read_object(value: object, where: str, read: Callable[[Fields], T]) -> T:
    """Read one object by ``read``, which has to take all of its fields."""
    fields = Fields(value, where)
    result = read(fields)
    fields.done()
    return result


def _kind(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"
