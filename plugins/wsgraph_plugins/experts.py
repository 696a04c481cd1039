"""A grouped matrix product: experts as parallel blocks, each row of the input going through one of them.

Which expert a row takes is the router's decision at run time. Rows come sorted by expert, so they are
dealt out to the experts in equal parts here: every expert is a layer of its own with the same sources, and
what combines the rows afterwards combines the experts' neurons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import LoweringError
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.named import contract_named
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.ir.graph import Value
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_grouped_mm(op: Operation, graph: LoweringGraph) -> Activation:
    """``[rows, n_in]`` times ``[experts, n_in, n_out]``; +E grouped, one group an expert.

    Raises:
        LoweringError: there are fewer rows than experts, or the weights depend on the model's input.
    """
    first, second, *offsets = op.tensors()
    x, weight = op.as_activation(first), op.state(second)
    if not isinstance(weight, ParamValue) or len(weight.shape) != 3 or len(x.shape) != 2:
        raise LoweringError(
            f"{op!r} multiplies {list(first.shape)} by {list(second.shape)}",
            remedy="only rows times one parameter matrix an expert are supported",
        )
    expert = _experts_of_rows(op, offsets[0] if offsets else None, x.shape[0], weight.shape[0])
    count = torch.bincount(expert, minlength=weight.shape[0])
    width = int(count.max())
    start = count.cumsum(0) - count
    # An expert with fewer rows than others repeats its last one, so that all parts are equally large.
    within = torch.minimum(torch.arange(width), (count - 1).unsqueeze(1))
    dealt = _rows(x, (start.unsqueeze(1) + within).flatten(), (len(count), width))
    out = contract_named(graph, dealt, "ecn", weight, "enm", "ecm")
    place = expert * width + torch.arange(len(expert)) - start[expert]
    shape = (len(count) * width, op.shape[-1])
    flat = replace(out, shape=shape, axes=tuple(a.with_labels(a.labels.reshape(shape)) for a in out.axes))
    return _rows(flat, place, (len(expert),))


def _experts_of_rows(op: Operation, offsets: Value | None, rows: int, experts: int) -> Tensor:
    """The expert of each row ``[rows]``, ascending."""
    known = None
    if offsets is not None and isinstance(op.state(offsets), Constant):
        known = op.constant(offsets)
    if known is not None:
        return torch.searchsorted(known.long(), torch.arange(rows), right=True)
    if rows < experts:
        raise LoweringError(
            f"{op!r} deals {rows} rows out to {experts} experts, so that some have none",
            remedy="compile with a longer input: --input 1x256:int64",
        )
    return torch.arange(rows) * experts // rows


def _rows(x: Activation, picked: Tensor, shape: tuple[int, ...]) -> Activation:
    """The rows at some positions, laid out anew."""
    full = (*shape, *x.shape[1:])
    axes = tuple(a.with_labels(a.labels.index_select(0, picked).reshape(full)) for a in x.axes)
    return Activation(full, axes, x.via)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Grouped products of torch and of transformers."""
    for key in ("aten._grouped_mm", "transformers.grouped_mm_fallback"):
        register(key, lower_grouped_mm)
