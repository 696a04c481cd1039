"""The IR as text, one operator a line; tests and people compare it."""

from __future__ import annotations

from typing import Any

import torch

from wsgraph.ir.graph import Graph, Op, Value, ValueKind

__all__ = ["print_graph", "spec_of", "type_text"]

_SHORT = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.bool: "bool",
}


def type_text(value: Value) -> str:
    """``f32[1, 3, 224, 224]``."""
    short = _SHORT.get(value.dtype, str(value.dtype).removeprefix("torch."))
    return f"{short}[{', '.join(map(str, value.shape))}]"


def spec_of(text: str) -> str:
    """What :func:`type_text` wrote, as an input's shape is given: ``1x3x224x224:float32``."""
    short, _, sizes = text.rstrip("]").partition("[")
    name = next((str(d).removeprefix("torch.") for d, known in _SHORT.items() if known == short), short)
    return f"{sizes.replace(', ', 'x')}:{name}"


def _argument(argument: Any) -> str:
    if isinstance(argument, list | tuple):
        return "[" + ", ".join(_argument(a) for a in argument) + "]"
    if isinstance(argument, float):
        return f"{argument:g}"
    return repr(argument)


def _line(op: Op) -> str:
    arguments = [_argument(a) for a in op.args]
    arguments += [f"{k}={_argument(v)}" for k, v in op.kwargs.items() if v is not None]
    left = ", ".join(repr(v) for v in op.outputs)
    types = ", ".join(type_text(v) for v in op.outputs)
    scope = f"  # {op.scope}" if op.scope else ""
    return f"  {left} = {op.key}({', '.join(arguments)}) : {types}{scope}"


def print_graph(graph: Graph) -> str:
    """The whole graph as text; ``@name`` is a parameter or buffer, ``%name`` a value."""
    head = ", ".join(f"{v!r}: {type_text(v)}" for v in graph.inputs)
    lines = [f"graph({head}) {{"]
    named = [v for v in graph.tensors.values() if v.kind is not ValueKind.CONSTANT]
    lines.extend(f"  {v!r} : {v.kind} {type_text(v)}" for v in named)
    lines.extend(f"  @{name} : tied to @{canonical}" for name, canonical in graph.ties.items())
    lines.extend(_line(op) for op in graph.ops)
    lines.append(f"  return {', '.join(repr(v) for v in graph.outputs)}")
    lines.append("}")
    return "\n".join(lines)
