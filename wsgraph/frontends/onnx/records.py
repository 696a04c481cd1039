"""Which stored tensors torch's newer exporter wrote down as parameters, and which it computed from those."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import ModelProto, StringStringEntryProto

__all__ = ["entry", "recorded_parameters", "text_list"]

_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_FOLDED = "pkg.onnxscript.optimizer.folded_from"
_STORED = re.compile(r"^\S+: (\w+) target='([^']*)'", re.MULTILINE)
"""A line of the signature: ``p_0_weight: PARAMETER target='0.weight'``; likewise BUFFER, CONSTANT_TENSOR."""


def recorded_parameters(model: ModelProto) -> dict[str, bool]:
    """Whether each stored tensor is a parameter, or was folded from one, by name.

    Empty where nothing was written down; a tensor that the exporter made in another way is missing.
    """
    kinds = {
        name: kind for kind, name in _STORED.findall(entry(model.graph.metadata_props, _SIGNATURE) or "")
    }
    found = {name: kind == "PARAMETER" for name, kind in kinds.items()}
    if not found:
        return {}
    parameters = {name for name, is_parameter in found.items() if is_parameter}
    for value in model.graph.value_info:
        sources = text_list(entry(value.metadata_props, _FOLDED))
        if sources:
            found[value.name] = not parameters.isdisjoint(sources)
    return found


def entry(entries: Iterable[StringStringEntryProto], key: str) -> str | None:
    """A value of a proto's metadata."""
    return next((e.value for e in entries if e.key == key), None)


def text_list(text: str | None) -> list[str]:
    """The list that a text such as ``['', '0']`` spells; empty for anything else."""
    try:
        found = ast.literal_eval(text or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else []
