"""Which parameter elements a value consists of: the same rule as for activations, for parameters.

A parameter that is sliced, transposed or reshaped stays a strided view, found by running the very
operator on a meta tensor. Where no strides fit, the operator is run on the flat element numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.ir.graph import Op, Value, ValueKind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Constant", "ParamValue", "as_strides"]


@dataclass(eq=False, slots=True)
class Constant:
    """A value that depends on no input and no parameter."""

    value: Value


@dataclass(eq=False, slots=True)
class ParamValue:
    """Elements of one parameter (or buffer, or derived tensor), laid out as a tensor.

    Attributes:
        name: the tensor's name.
        size: number of elements of the whole tensor.
        view: meta tensor whose shape, strides and offset say which elements these are, or None.
        index: flat element numbers (int64), -1 where there is none; set when ``view`` is None.
        kind: parameter or buffer (a derived tensor counts as a parameter).
    """

    name: str
    size: int
    view: Tensor | None
    index: Tensor | None = None
    kind: ValueKind = ValueKind.PARAMETER

    @classmethod
    def whole(cls, name: str, shape: Sequence[int], kind: ValueKind = ValueKind.PARAMETER) -> ParamValue:
        """All of a tensor, as it is stored."""
        view = torch.empty(tuple(shape), device="meta", dtype=torch.int8)
        return cls(name, view.numel(), view, None, kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return tuple(self.layout.shape)

    @property
    def layout(self) -> Tensor:
        """Whichever tensor carries the shape."""
        out = self.view if self.view is not None else self.index
        assert out is not None
        return out

    def elements(self) -> Tensor:
        """Flat element numbers, the value's shape."""
        if self.index is not None:
            return self.index
        assert self.view is not None
        base = torch.arange(self.size)
        return base.as_strided(self.view.shape, self.view.stride(), self.view.storage_offset())

    def apply(self, move: Any) -> ParamValue:
        """Run a data-movement function on the layout; a copy turns into element numbers."""
        if self.view is not None:
            moved = move(self.view)
            if moved.untyped_storage()._cdata == self.view.untyped_storage()._cdata:  # noqa: SLF001  storage identity
                return ParamValue(self.name, self.size, moved, None, self.kind)
        return self.from_elements(move(self.elements()))

    def from_elements(self, index: Tensor) -> ParamValue:
        """The same tensor's elements in another arrangement; strided if some strides fit."""
        strided = as_strides(index)
        if strided is None:
            return ParamValue(self.name, self.size, None, index.contiguous(), self.kind)
        strides, offset = strided
        view = torch.empty(self.size, device="meta", dtype=torch.int8).as_strided(
            index.shape, strides, offset
        )
        return ParamValue(self.name, self.size, view, None, self.kind)

    def select(self, dim: int, positions: Tensor) -> ParamValue:
        """Some positions of one dimension, in the order given."""
        steps = positions.diff()
        if len(positions) == self.shape[dim] and bool((steps == 1).all()):
            return self
        step = int(steps[0]) if len(steps) else 1
        if step > 0 and bool((steps == step).all()):
            start, stop = int(positions[0]), int(positions[-1]) + 1
            slices = (slice(None),) * dim + (slice(start, stop, step),)
            return self.apply(lambda t: t[slices])
        return self.from_elements(self.elements().index_select(dim, positions))

    def reshape(self, *shape: int) -> ParamValue:
        """Another shape of the same elements."""
        return self.apply(lambda t: t.reshape(shape))

    def expand(self, *shape: int) -> ParamValue:
        """Broadcast; elements repeat."""
        return self.apply(lambda t: t.expand(shape))

    def move(self, op: Op) -> list[ParamValue]:
        """Follow a data-movement operator whose first argument this is; one result an output."""
        rest, kwargs = op.args[1:], op.kwargs
        out = []
        for k in range(len(op.outputs)):

            def run(layout: Tensor, k: int = k) -> Tensor:
                result = op.target(layout, *rest, **kwargs)
                return result[k] if isinstance(result, tuple | list) else result  # type: ignore[no-any-return]

            out.append(self.apply(run))
        return out


def as_strides(index: Tensor) -> tuple[tuple[int, ...], int] | None:
    """Strides and offset that give these element numbers, or None if none do."""
    if index.numel() == 0:
        return tuple(0 for _ in index.shape), 0
    flat = index.reshape(-1)
    offset = int(flat[0])
    if offset < 0:
        return None
    strides = []
    for dim, size in enumerate(index.shape):
        first = index[(0,) * dim]
        step = first[(1,) + (0,) * (index.dim() - dim - 1)] - offset if size > 1 else 0
        strides.append(int(step))
    if any(s < 0 for s in strides):
        return None
    expected = torch.full((), offset, dtype=torch.int64)
    for size, stride in zip(index.shape, strides, strict=True):
        expected = expected.unsqueeze(-1) + torch.arange(size) * stride
    return (tuple(strides), offset) if bool((expected == index).all()) else None
