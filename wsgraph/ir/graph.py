"""The intermediate representation: a flat, typed, executable list of operators (DESIGN section 3).

Every frontend produces this; everything after the frontends reads nothing else. Values are single
assignment; parameters, buffers and constants are values too, so that a computed weight is followed by
the same rules as an activation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wsgraph.errors import FrontendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch
    from torch import Tensor

__all__ = ["Graph", "Op", "Value", "ValueKind", "flat_values", "replace_values"]


class ValueKind(StrEnum):
    """Where a value comes from."""

    INPUT = "input"
    PARAMETER = "parameter"
    BUFFER = "buffer"
    CONSTANT = "constant"
    RESULT = "result"


@dataclass(eq=False, slots=True)
class Value:
    """One tensor of the graph.

    Attributes:
        name: unique in the graph; for parameters and buffers the state dict's name.
        shape: static shape.
        dtype: element type.
        kind: where it comes from.
        data: the tensor itself, for constants and for buffers whose values are known; else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    kind: ValueKind = ValueKind.RESULT
    data: Tensor | None = None

    def __repr__(self) -> str:
        return f"{'@' if self.kind in (ValueKind.PARAMETER, ValueKind.BUFFER) else '%'}{self.name}"


@lru_cache(maxsize=4096)
def _argument_defaults(target: Any) -> tuple[tuple[str, bool, Any], ...]:
    """(name, keyword only, default) of each argument in the operator's schema."""
    schema = getattr(target, "_schema", None)
    if schema is None:
        return ()
    return tuple((a.name, a.kwarg_only, a.default_value) for a in schema.arguments)


@dataclass(eq=False, slots=True)
class Op:
    """One operator call.

    Attributes:
        key: canonical name, ``aten.conv2d``: namespace and operator without overload and without the
            in-place underscore. Lowerings are registered under it.
        target: what executes it, usually a ``torch._ops.OpOverload``.
        args: positional arguments; :class:`Value` where the call takes a tensor, lists included.
        kwargs: keyword arguments, likewise.
        outputs: results, in order.
        scope: place in the module tree, ``layer1.0.conv1``; for messages.
        mutates: True for an in-place call, which also changes the storage of its first argument.
        aliases: True when the result is a view of the first argument.
    """

    key: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Value]
    scope: str = ""
    mutates: bool = False
    aliases: bool = False
    _inputs: list[Value] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments by schema name, defaults filled in; ``arg0``... when there is no schema."""
        schema = _argument_defaults(self.target)
        if not schema:
            return {f"arg{i}": a for i, a in enumerate(self.args)} | self.kwargs
        out = {}
        position = 0
        for name, keyword_only, default in schema:
            if not keyword_only and position < len(self.args):
                out[name] = self.args[position]
                position += 1
            else:
                out[name] = self.kwargs.get(name, default)
        return out

    def inputs(self) -> list[Value]:
        """Every value that the call takes, in order, lists flattened."""
        if self._inputs is None:
            self._inputs = flat_values((self.args, self.kwargs))
        return self._inputs

    def forget_inputs(self) -> None:
        """To be called after the arguments were changed."""
        self._inputs = None

    def rename_inputs(self, names: Mapping[Value, Value]) -> None:
        """Let the call take other values in place of some."""
        if any(v in names for v in self.inputs()):
            self.args, self.kwargs = replace_values((self.args, self.kwargs), names)
            self.forget_inputs()

    def __repr__(self) -> str:
        return f"<{self.key} at {self.scope or 'the top level'}>"


def flat_values(tree: Any) -> list[Value]:
    """The values inside nested tuples, lists and dicts, in order."""
    out: list[Value] = []
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, Value):
            out.append(item)
        elif isinstance(item, tuple | list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
    return out


def replace_values(tree: Any, lookup: Mapping[Value, Any]) -> Any:
    """Nested tuples, lists and dicts with something else in place of the values that ``lookup`` knows."""
    if isinstance(tree, Value):
        return lookup.get(tree, tree)
    if isinstance(tree, tuple | list):
        return type(tree)(replace_values(t, lookup) for t in tree)
    if isinstance(tree, dict):
        return {k: replace_values(v, lookup) for k, v in tree.items()}
    return tree


@dataclass(slots=True)
class Graph:
    """A traced model.

    Attributes:
        inputs: user inputs in order.
        tensors: parameters, buffers and lifted constants by name.
        ops: operators in execution order.
        outputs: results in order.
        ties: name of a parameter or buffer -> the name under which its storage is listed in ``tensors``.
        frontend: which frontend made it (``torch.export``, ``torch.fx``, ...).
        notes: what was assumed or fell back, to be shown to the user.
        keeps_everything: whether selections by value were traced as if they took everything.
    """

    inputs: list[Value] = field(default_factory=list)
    tensors: dict[str, Value] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    ties: dict[str, str] = field(default_factory=dict)
    frontend: str = ""
    notes: list[str] = field(default_factory=list)
    keeps_everything: bool = False

    def parameters(self) -> Iterator[Value]:
        """The trainable tensors."""
        return (v for v in self.tensors.values() if v.kind is ValueKind.PARAMETER)

    def users(self) -> Mapping[Value, list[Op]]:
        """Which operators take each value; graph outputs are not counted."""
        users: dict[Value, list[Op]] = {}
        for op in self.ops:
            for value in dict.fromkeys(op.inputs()):
                users.setdefault(value, []).append(op)
        return users

    def verify(self) -> None:
        """Check that every value is defined before it is used, exactly once.

        Raises:
            FrontendError: the graph contradicts itself (a frontend's or a pass's mistake).
        """
        defined = {*self.inputs, *self.tensors.values()}
        for op in self.ops:
            for value in op.inputs():
                if value not in defined:
                    raise FrontendError(f"{op!r} takes {value!r}, which nothing before it defines")
            for value in op.outputs:
                if value in defined:
                    raise FrontendError(f"{op!r} defines {value!r} a second time")
                defined.add(value)
        for value in self.outputs:
            if value not in defined:
                raise FrontendError(f"the graph returns {value!r}, which nothing defines")

    def __str__(self) -> str:
        from wsgraph.ir.printer import print_graph

        return print_graph(self)
