"""Input shapes as text: ``1x3x224x224``, or ``1x128:int64`` with a dtype."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from wsgraph.errors import InputShapeError

__all__ = ["Inputs", "make_inputs", "parse_spec", "spec_text"]

Inputs: TypeAlias = str | Tensor | Sequence[str | Tensor] | None
"""One input or several, as tensors or as text; None to work them out."""

_SPEC = re.compile(r"(?P<sizes>[1-9]\d*(x[1-9]\d*)*)(:(?P<dtype>[a-z]\w*))?")
_REMEDY = (
    "write sizes with an x between, and a dtype after a colon if it is not float: 1x3x224x224, 1x128:int64"
)


def parse_spec(spec: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor of zeros that a spec describes.

    Args:
        spec: sizes with ``x`` between them, the batch first; then, after a colon, a dtype of torch.
        dtype: the dtype if the spec has none.

    Raises:
        InputShapeError: if the spec is malformed.
    """
    match = _SPEC.fullmatch(spec.strip())
    if not match:
        raise InputShapeError(f"input {spec!r} is no shape", remedy=_REMEDY)
    if name := match["dtype"]:
        found = getattr(torch, name, None)
        if not isinstance(found, torch.dtype):
            raise InputShapeError(
                f"input {spec!r} asks for {name!r}, which is no dtype of torch", remedy=_REMEDY
            )
        dtype = found
    return torch.zeros([int(size) for size in match["sizes"].split("x")], dtype=dtype)


def spec_text(inputs: Sequence[Tensor]) -> str:
    """Inputs as one writes them after ``--input``, with a comma between."""
    return ", ".join(
        ("x".join(map(str, tensor.shape)) or "a scalar")
        + ("" if tensor.dtype.is_floating_point else f":{str(tensor.dtype).removeprefix('torch.')}")
        for tensor in inputs
    )


def make_inputs(
    inputs: str | Tensor | Sequence[str | Tensor], dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Example inputs from what the user gave.

    Raises:
        InputShapeError: if a spec is malformed, or something is neither text nor a tensor.
    """
    items: Sequence[object] = inputs if isinstance(inputs, list | tuple) else [inputs]
    tensors = []
    for item in items:
        if not isinstance(item, str | Tensor):
            raise InputShapeError(
                f"an input of type {type(item).__name__} is neither a shape as text nor a tensor",
                remedy=_REMEDY,
            )
        tensors.append(item if isinstance(item, Tensor) else parse_spec(item, dtype))
    return tuple(tensors)
