"""Shapes of a model's inputs: as declared, as the user says, or tried where they are left open."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from wsgraph.errors import InputShapeError
from wsgraph.frontends.input_spec import Inputs, parse_spec, spec_text
from wsgraph.frontends.onnx.tensors import dtype_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onnx import TensorShapeProto, ValueInfoProto

__all__ = ["candidates", "given_inputs"]

_REMEDY = "give the shapes with --input 1x3x224x224, once for each input in the model's order"
_Known: TypeAlias = "Mapping[str | tuple[str, int], int]"
"""Sizes by a dimension's name, or by an input's name and position."""

_SIDES = (224, 16, 32, 64, 256, 299, 128, 512)
_LENGTHS = (16, 8, 32, 64, 128, 224, 256, 1)


def given_inputs(declared: Sequence[ValueInfoProto], inputs: Inputs) -> tuple[Tensor, ...]:
    """What the user gave, with the declared types, checked against the declared shapes.

    Raises:
        InputShapeError: too many or too few, malformed, or another shape than the model has.
    """
    items = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if len(items) != len(declared):
        names = ", ".join(i.name for i in declared)
        raise InputShapeError(f"{len(items)} inputs given, expected {len(declared)}: {names}", remedy=_REMEDY)
    tensors = []
    for item, info in zip(items, declared, strict=True):
        if not isinstance(item, str | Tensor):
            raise InputShapeError(
                f"an input of type {type(item).__name__} is neither a shape nor a tensor", remedy=_REMEDY
            )
        tensor = item if isinstance(item, Tensor) else parse_spec(item, _dtype(info))
        _check(info, tensor)
        tensors.append(tensor)
    return tuple(tensors)


def _check(info: ValueInfoProto, tensor: Tensor) -> None:
    kind = info.type.tensor_type
    fixed = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    fits = len(fixed) == tensor.dim() and all(
        want in (None, 0, got) for want, got in zip(fixed, tensor.shape, strict=True)
    )
    if kind.HasField("shape") and not fits:
        wanted = "x".join("?" if n is None else str(n) for n in fixed) or "a scalar"
        raise InputShapeError(
            f"input {info.name!r} is {spec_text((tensor,))}, expected {wanted}", remedy=_REMEDY
        )


def candidates(
    declared: Sequence[ValueInfoProto], hints: Mapping[tuple[str, int], int]
) -> Iterator[tuple[tuple[Tensor, ...], str]]:
    """Inputs to try, best first, each with a note of what was assumed.

    A dimension without a number is 1 where it comes first (the batch); equal names are equal sizes, and
    sums of names (``past + 1``) sums of sizes. ``hints``: sizes that layers ask for, by input and dimension.

    Raises:
        InputShapeError: an input declares no shape at all.
    """
    for info in declared:
        if not info.type.tensor_type.HasField("shape"):
            raise InputShapeError(f"input {info.name!r} declares no shape", remedy=_REMEDY)
    batch = {d.dim_param: 1 for i in declared for d in i.type.tensor_type.shape.dim[:1] if d.dim_param}
    known: _Known = dict(chain(batch.items(), hints.items(), _named(declared, hints).items()))
    if not any(_open(i, known) for i in declared):
        tensors = tuple(_zeros(i, known, 1) for i in declared)
        assumed = any(_open(i, {}) for i in declared)
        yield tensors, f"input assumed to be {spec_text(tensors)} (batch of one)" if assumed else ""
        return
    pictures = any(len(i.type.tensor_type.shape.dim) >= 4 for i in declared)
    for size in _SIDES if pictures else _LENGTHS:
        tensors = tuple(_zeros(i, known, size) for i in declared)
        yield tensors, f"input assumed to be {spec_text(tensors)} (the model leaves its size open)"


def _named(declared: Sequence[ValueInfoProto], hints: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """Sizes of named dimensions, where a layer asks for one of that name."""
    names = {(i.name, k): d.dim_param for i in declared for k, d in enumerate(i.type.tensor_type.shape.dim)}
    return {names[place]: size for place, size in hints.items() if names.get(place)}


def _open(info: ValueInfoProto, known: _Known) -> bool:
    """Whether a dimension beyond the batch has no number."""
    start = 0 if not known else 1
    dims = list(enumerate(info.type.tensor_type.shape.dim))[start:]
    return any(not d.dim_value and d.dim_param not in known and (info.name, k) not in known for k, d in dims)


def _zeros(info: ValueInfoProto, known: _Known, size: int) -> Tensor:
    dims = enumerate(info.type.tensor_type.shape.dim)
    shape = [_size(d, k, known, known.get((info.name, k), size)) for k, d in dims]
    return torch.zeros(shape, dtype=_dtype(info))


def _size(dim: TensorShapeProto.Dimension, position: int, known: _Known, size: int) -> int:
    if dim.dim_value > 0:
        return int(dim.dim_value)
    if not dim.dim_param:
        return 1 if position == 0 else size
    terms = [t.strip() for t in dim.dim_param.split("+")]
    return sum(int(t) if t.isdigit() else known.get(t, size) for t in terms)


def _dtype(info: ValueInfoProto) -> torch.dtype:
    return dtype_of(info.type.tensor_type.elem_type, f"input {info.name!r}")
