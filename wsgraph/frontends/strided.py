"""``as_strided``: a view by memory addresses, written as the elements that it shows.

It is the one view whose result depends on how its argument lies in memory, which only the frontend knows.
Overlapping windows (Longformer's chunks, unfolded signals) are taken so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.ir.graph import Op, Value, ValueKind

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["picked_elements"]


def picked_elements(x: Value, memory: Tensor, given: dict[str, Any], result: Value, scope: str) -> list[Op]:
    """Operators that pick the view's elements out of the flattened argument.

    Args:
        x: the argument.
        memory: the traced tensor behind it, for its strides.
        given: ``size``, ``stride`` and ``storage_offset`` of the view.
        result: the value that the view is.
        scope: place in the module tree.

    Raises:
        UnsupportedOperatorError: the argument is itself a part of a larger tensor, or repeats elements.
    """
    strides = memory.stride()
    order = sorted(range(memory.dim()), key=lambda d: -int(strides[d]))
    size, stride = ([int(n) for n in given[name]] for name in ("size", "stride"))
    start = given["storage_offset"]
    start = 0 if start is None else int(start) - int(memory.storage_offset())
    last = start + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if start < 0 or last >= math.prod(x.shape) or not memory.permute(order).is_contiguous():
        raise UnsupportedOperatorError(
            f"as_strided at {scope or 'the top level'} reads the memory around a tensor of {list(x.shape)} "
            "that is part of another one",
            remedy="take the view with unfold or slices, or of a contiguous() tensor",
        )
    places = torch.arange(math.prod(x.shape)).as_strided(size, stride, start)
    index = Value(f"{result.name}.places", tuple(places.shape), places.dtype, ValueKind.CONSTANT, places)
    turned = Value(f"{result.name}.turned", tuple(x.shape[d] for d in order), x.dtype)
    flat = Value(f"{result.name}.flat", (math.prod(x.shape),), x.dtype)
    aten = torch.ops.aten
    return [
        Op("aten.permute", aten.permute.default, (x, order), {}, [turned], scope),
        Op("aten.reshape", aten.reshape.default, (turned, [-1]), {}, [flat], scope),
        Op("aten.index", aten.index.Tensor, (flat, [index]), {}, [result], scope),
    ]
