"""Checks of tensor specifications, index tensors and the views into them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.blocks import AttrValue, ParamView
    from wsgraph.events.structure import Structure, TensorSpec

__all__ = ["RESERVED", "TensorChecks", "check_attrs", "check_sizes"]

RESERVED = "__wsgraph__."
"""Prefix of names that belong to wsgraph inside a file and among derived tensors."""

_INDEX_DTYPES = (torch.int32, torch.int64)
_MAX_NUMEL = 1 << 62


class TensorChecks:
    """Checks views against the tensors of one structure; remembers the range of each index tensor."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._ranges: dict[str, tuple[int, int]] = {}

    def check_specs(self) -> None:
        """Check tensor specifications and derived tensors.

        Raises:
            StructureError: a tie, a name, a shape or an ``unread`` contradicts the rest.
        """
        for name, spec in self._structure.tensors.items():
            where = f"tensor {name!r}"
            if spec.name != name or name.startswith(RESERVED):
                raise StructureError(f"{where}: its specification is named {spec.name!r}")
            if not isinstance(getattr(torch, spec.dtype, None), torch.dtype):
                raise StructureError(f"{where}: {spec.dtype!r} is no dtype of torch")
            check_sizes(spec.shape, where)
            if spec.tied_to is not None:
                self._check_tie(spec, where)
            if spec.unread not in {None, "all"}:
                self.check_index(str(spec.unread), None, range(math.prod(spec.shape)), f"{where}, unread")
        for name, derived in self._structure.derived.items():
            if derived.name != name or name in self._structure.tensors:
                raise StructureError(f"derived tensor {name!r}: its name {derived.name!r} is taken or wrong")
            check_sizes(derived.shape, f"derived tensor {name!r}")
            for source in derived.sources:
                if source.startswith(RESERVED):
                    self.check_index(source, None, None, f"derived tensor {name!r}, source")
                    continue
                self._known(source, f"derived tensor {name!r}, source")

    def _check_tie(self, spec: TensorSpec, where: str) -> None:
        target = self._known(str(spec.tied_to), f"{where}, tied to")
        if target.tied_to is not None or (target.shape, target.dtype) != (spec.shape, spec.dtype):
            raise StructureError(
                f"{where}: {list(spec.shape)} {spec.dtype} cannot be tied to {target.name!r}, "
                f"{list(target.shape)} {target.dtype}, itself tied to {target.tied_to}"
            )

    def _known(self, name: str, where: str) -> TensorSpec:
        spec = self._structure.tensors.get(name)
        if spec is None:
            raise StructureError(f"{where}: the model has no tensor {name!r}")
        return spec

    def check_view(self, view: ParamView, shape: tuple[int, ...], where: str) -> None:
        """Check that a view has the shape that its block needs and stays inside its tensor.

        Raises:
            StructureError: it does not.
        """
        where = f"{where}, view of {view.name!r}"
        derived = self._structure.derived.get(view.name)
        numel = math.prod((derived or self._known(view.name, where)).shape)
        if view.shape != shape:
            raise StructureError(f"{where}: shape {list(view.shape)}, expected {list(shape)}")
        if view.index is not None:
            if view.strides is not None or view.offset:
                raise StructureError(
                    f"{where}: it has an index and strides or an offset; one excludes the other"
                )
            self.check_index(view.index, shape, range(-1, numel), where)
            return
        if view.strides is None or len(view.strides) != len(shape) or min(view.strides, default=0) < 0:
            raise StructureError(f"{where}: strides {view.strides} do not fit the shape {list(shape)}")
        last = view.offset + sum((size - 1) * step for size, step in zip(shape, view.strides, strict=True))
        if view.offset < 0 or (view.numel and last >= numel):
            raise StructureError(f"{where}: it reaches element {last} of {numel}")

    def check_index(
        self, name: str, shape: tuple[int, ...] | None, allowed: range | None, where: str
    ) -> Tensor:
        """Check that an index tensor exists with this shape and only values in ``allowed``; returns it.

        Raises:
            StructureError: it does not.
        """
        index = self._structure.indices.get(name)
        if index is None:
            raise StructureError(f"{where}: there is no index tensor {name!r}")
        if index.dtype not in _INDEX_DTYPES or (shape is not None and tuple(index.shape) != shape):
            raise StructureError(
                f"{where}: index tensor {name!r} is {list(index.shape)} {index.dtype}, "
                f"expected {'any shape' if shape is None else list(shape)} int32 or int64"
            )
        if allowed is not None and index.numel():
            low, high = self._range(name, index)
            if low < allowed.start or high >= allowed.stop:
                raise StructureError(
                    f"{where}: index tensor {name!r} holds {low} to {high}, "
                    f"expected {allowed.start} to {allowed.stop - 1}"
                )
        return index

    def _range(self, name: str, index: Tensor) -> tuple[int, int]:
        if name not in self._ranges:
            self._ranges[name] = (int(index.min()), int(index.max()))
        return self._ranges[name]


def check_attrs(attrs: Mapping[str, AttrValue], where: str) -> None:
    """Check that attributes are plain data that survives a trip through JSON.

    Raises:
        StructureError: one is not.
    """
    for name, value in attrs.items():
        if isinstance(value, tuple):
            plain = all(isinstance(item, str) for item in value) or all(type(item) is int for item in value)
        else:
            plain = isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
        if not plain:
            raise StructureError(f"{where}: attribute {name!r} is no plain finite value: {value!r}")


def check_sizes(shape: tuple[int, ...], where: str) -> None:
    """Check that a shape can be one of a tensor's: not negative, and its elements can be counted.

    Raises:
        StructureError: it cannot.
    """
    if min(shape, default=0) < 0 or math.prod(shape) > _MAX_NUMEL:
        raise StructureError(f"{where}: impossible shape {list(shape)}")
