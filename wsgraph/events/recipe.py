"""Recipes as text: building them, and reading them back with every reference checked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import StructureError
from wsgraph.events.recipe_ops import lookup_operator

if TYPE_CHECKING:
    from wsgraph.events.blocks import Derived

__all__ = ["Line", "RecipeBuilder", "Result", "Source", "parse_recipe"]

_DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128"
_CONSTANTS: dict[str, Any] = {
    **{f"torch.{name}": getattr(torch, name) for name in _DTYPES.split()},
    **{f"torch.{name}": getattr(torch, name) for name in ("contiguous_format", "preserve_format", "strided")},
    "inf": math.inf,
    "-inf": -math.inf,
}
# A recipe runs wherever its weights lie.
_PLACEMENT = frozenset({"device", "pin_memory", "non_blocking"})


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor of the model, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an earlier line, by its name (``%3``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """One operator call of a recipe."""

    result: str
    operator: str
    args: list[Any]
    kwargs: dict[str, Any]


class RecipeBuilder:
    """Writes a recipe line by line.

    Example:
        >>> build = RecipeBuilder()
        >>> product = build.call("aten.mul.Tensor", Source("g"), Source("v"))
        >>> build.text()
        '[["%0", "aten.mul.Tensor", ["@g", "@v"], {}]]'
    """

    def __init__(self) -> None:
        self._lines: list[list[Any]] = []
        self._sources: dict[str, None] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tensors used so far, in order of first use."""
        return tuple(self._sources)

    def call(self, operator: str, *args: Any, **kwargs: Any) -> Result:
        """Append a call.

        Args:
            operator: qualified name (``aten.mul.Tensor``, as ``str(op)`` gives it) or ``getitem``.
            *args: numbers, strings, dtypes, :class:`Source`, :class:`Result`, and lists of these.
            **kwargs: likewise; where to place the result (``device``) is left out.

        Raises:
            StructureError: the operator is not allowed, or an argument cannot be written down.
        """
        if operator != "getitem":
            lookup_operator(operator)
        result = Result(f"%{len(self._lines)}")
        named = {key: self._write(value) for key, value in kwargs.items() if key not in _PLACEMENT}
        self._lines.append([result.name, operator, [self._write(arg) for arg in args], named])
        return result

    def text(self) -> str:
        """The recipe; its value is the last call's result."""
        return json.dumps(self._lines, allow_nan=False)

    def _write(self, value: Any) -> Any:
        if isinstance(value, Source):
            self._sources[value.name] = None
            return f"@{value.name}"
        if isinstance(value, Result):
            return value.name
        if isinstance(value, list | tuple):
            return [self._write(item) for item in value]
        if isinstance(value, str):
            return f"={value}"
        for name, constant in _CONSTANTS.items():
            if type(value) is type(constant) and value == constant:
                return name
        if (
            value is None
            or isinstance(value, bool | int)
            or (isinstance(value, float) and not math.isnan(value))
        ):
            return value
        raise StructureError(f"a recipe cannot hold an argument of type {type(value).__name__}: {value!r}")


def parse_recipe(derived: Derived) -> tuple[Line, ...]:
    """Read a derived tensor's recipe.

    Raises:
        StructureError: it is malformed, uses an operator off the list, refers to a result that no earlier
            line has, or does not use exactly the sources that ``derived`` declares.
    """
    where = f"derived tensor {derived.name!r}"
    try:
        document = json.loads(derived.recipe)
    except (ValueError, RecursionError) as error:
        raise StructureError(f"{where}: its recipe is not JSON: {error}") from error
    if not isinstance(document, list) or not document:
        raise StructureError(f"{where}: its recipe is {type(document).__name__}, expected a list of lines")
    reader = _Reader(where)
    lines = tuple(reader.line(entry) for entry in document)
    if reader.sources != set(derived.sources):
        raise StructureError(
            f"{where}: its recipe uses {sorted(reader.sources)}, expected exactly {sorted(derived.sources)}"
        )
    return lines


class _Reader:
    """Reads lines in order and remembers what they define and use."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._defined: set[str] = set()
        self.sources: set[str] = set()

    def line(self, entry: Any) -> Line:
        match entry:
            case [str(result), str(operator), list(args), dict(kwargs)] if result.startswith("%"):
                pass
            case _:
                raise StructureError(f"{self._where}: malformed line {entry!r} in its recipe")
        if operator != "getitem":
            lookup_operator(operator)
        line = Line(result, operator, self._read(args), {key: self._read(arg) for key, arg in kwargs.items()})
        self._defined.add(result)
        return line

    def _read(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._read(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            if value.startswith("@"):
                self.sources.add(value[1:])
                return Source(value[1:])
            if value in self._defined:
                return Result(value)
            if value.startswith("="):
                return value[1:]
            if value in _CONSTANTS:
                return _CONSTANTS[value]
        raise StructureError(f"{self._where}: its recipe refers to {value!r}, which is nothing known")
