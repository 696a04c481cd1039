"""Which function translates which ONNX operator, and from which opset on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsgraph.frontends.onnx.emitter import Operand
    from wsgraph.frontends.onnx.node import Node

__all__ = ["OPSETS", "Translation", "Translator", "operator", "operators", "translation_for"]

Translator: TypeAlias = "Callable[[Node], Operand | Sequence[Operand]]"
"""Emits the ATen operators of one ONNX node and returns its outputs, in order."""

OPSETS = (6, 28)
"""The first and the last opset of the default domain that is read."""

_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})


@dataclass(frozen=True, slots=True)
class Translation:
    """A registered operator.

    Attributes:
        op_type: the operator's name.
        domain: its domain, empty for ONNX's own.
        since: the first opset in which this meaning holds.
        function: what translates it.
    """

    op_type: str
    domain: str
    since: int
    function: Translator


_TABLE: dict[tuple[str, str], list[Translation]] = {}


def operator(*op_types: str, domain: str = "", since: int = 1) -> Callable[[Translator], Translator]:
    """Register a translator: ``@operator("Conv")``.

    Args:
        *op_types: operators that it translates.
        domain: their domain.
        since: the first opset in which it applies; an operator may have several, the newest fitting one
            is taken.

    Raises:
        ValueError: an operator is registered twice for the same opset.
    """

    def register(function: Translator) -> Translator:
        for op_type in op_types:
            known = _TABLE.setdefault((domain, op_type), [])
            if any(entry.since == since for entry in known):
                raise ValueError(f"{op_type} is registered twice for opset {since}")
            known.append(Translation(op_type, domain, since, function))
            known.sort(key=lambda entry: -entry.since)
        return function

    return register


def translation_for(op_type: str, domain: str, opset: int) -> Translation | None:
    """The translation that applies to an operator in a model of this opset, if there is one."""
    entries = _TABLE.get(("" if domain in _DEFAULT_DOMAINS else domain, op_type), [])
    return next((entry for entry in entries if entry.since <= opset), None)


def operators() -> list[Translation]:
    """All registered translations, sorted by domain, name and opset."""
    return sorted(
        (e for known in _TABLE.values() for e in known), key=lambda e: (e.domain, e.op_type, e.since)
    )
