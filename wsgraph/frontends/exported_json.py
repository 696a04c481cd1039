"""Checks the graph of a ``.pt2`` archive: no operator, type or expression that could run code."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING

from wsgraph.errors import UnsafeCheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_program"]

_TARGET = re.compile(
    r"torch\.ops\.(?!_)\w+\.(?!__)\w+(\.(?!__)\w+)?|torch\._?sym_\w+"
    r"|math\.\w+|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
"""Operators that a graph may call. Without this ``torch.hub.load`` would do as well."""

_TREE_TYPE = re.compile(r"builtins\.(tuple|list|dict)|collections\.OrderedDict|transformers\.[\w.]+")
"""Containers of inputs and outputs; others (defaultdict, enums) import a module that the file names."""

_EXPRESSION_NODES = (
    *(ast.Expression, ast.Load, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop),
    *(
        ast.Compare,
        ast.cmpop,
        ast.BoolOp,
        ast.boolop,
        ast.Constant,
        ast.Name,
        ast.Call,
        ast.keyword,
        ast.Tuple,
    ),
)
_TEXT_ARGUMENTS = {"Symbol", "Dummy", "Float", "Integer", "Rational"}
"""The sympy classes that take text as a name or number; others would evaluate it as Python."""


def check_program(program: object, where: str, remedy: str) -> None:
    """Check a program's JSON.

    Raises:
        UnsafeCheckpointError: naming the first thing that could run code.
    """
    for key, value in _walk(program):
        if key in ("target", "as_operator") and not (isinstance(value, str) and _TARGET.fullmatch(value)):
            raise UnsafeCheckpointError(
                f"{where} calls {value!r}, which is no operator of a graph", remedy=remedy
            )
        if key == "expr_str" and not _is_plain_expression(value):
            raise UnsafeCheckpointError(f"{where} has the size {value!r}, which is no formula", remedy=remedy)
        if key in ("in_spec", "out_spec") and isinstance(value, str) and value:
            for inner, kind in _walk(json.loads(value)):
                if inner == "type" and kind is not None and not _TREE_TYPE.fullmatch(str(kind)):
                    raise UnsafeCheckpointError(f"{where} takes or returns a {kind}", remedy=remedy)


def _walk(value: object) -> Iterator[tuple[str, object]]:
    """Every value inside a JSON value with its key; list items and the whole have the key ``""``."""
    pending: list[tuple[str, object]] = [("", value)]
    while pending:
        key, item = pending.pop()
        yield key, item
        if isinstance(item, dict):
            pending.extend(item.items())
        elif isinstance(item, list):
            pending.extend(("", inner) for inner in item)


def _is_plain_expression(text: object) -> bool:
    """Whether sympy can evaluate the text without calling anything but its own classes by name."""
    try:
        tree = ast.parse(str(text), mode="eval")
    except SyntaxError:
        return False
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {id(argument) for call in calls if _takes_text(call.func) for argument in call.args}
    for node in ast.walk(tree):
        if not isinstance(node, _EXPRESSION_NODES):
            return False
        if isinstance(node, ast.Call) and not _is_class_of_sympy(node.func):
            return False
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in names:
            return False
    return True


def _is_class_of_sympy(function: ast.expr) -> bool:
    """Whether a called name is a class: in sympy's namespace they begin with a capital, but for two."""
    return isinstance(function, ast.Name) and (
        function.id[:1].isupper() or function.id in ("floor", "ceiling")
    )


def _takes_text(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in _TEXT_ARGUMENTS
