"""Elements picked by positions that the input decides: gather, index, sort, top-k.

Which position is picked is not known, so the result's positions are new ones. Where neurons lie along the
picked dimension, any of them may be picked: they are reduced, as by a maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import LoweringError
from wsgraph.ir.graph import Value
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.interchange_ops import WRITES, picked_dims
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along, broadcast_shape, restrict
from wsgraph.provenance.params import Constant, ParamValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation

__all__ = ["pick"]


def pick(op: Operation, graph: LoweringGraph) -> Activation:
    """The result of an operator that takes elements of its first argument at positions given by the others.

    Raises:
        LoweringError: a parameter is taken apart by position; tables are looked up by an embedding.
    """
    first = op.tensors()[0]
    state = op.state(first)
    if isinstance(state, ParamValue) and state.kind.value == "parameter":
        return _from_table(op, graph, state)
    x = op.as_activation(first)

    def constant(value: Value) -> Tensor | None:
        return op.constant(value) if isinstance(op.state(value), Constant) else None

    dims = sorted(picked_dims(op.op, constant))
    return with_new_sites(_at_any(graph, x, dims, lambda labels: _at_first(op, labels, dims)), op.shape)


def _from_table(op: Operation, graph: LoweringGraph, table: ParamValue) -> Activation:
    """``table[positions]``: an embedding, whatever the table's rank."""
    positions = op.argument("indices")
    if op.name == "index_select":
        positions = [None] * (int(op.argument("dim")) % len(table.shape)) + [op.argument("index")]
    if op.name not in ("index", "index_select") or len(positions) != 1:
        raise LoweringError(
            f"{op!r} takes elements of a parameter at positions that depend on the model's input",
            remedy="look rows up with torch.nn.functional.embedding",
        )
    from wsgraph_plugins.embedding import look_up

    return look_up(op, graph, table, positions[0])


def _at_first(op: Operation, labels: Tensor, dims: Sequence[int]) -> Tensor:
    """The operator itself on labels, everything taken at position 0 of the dimensions ``dims``."""

    def place(argument: Any, dim: int = dims[0]) -> Any:
        if isinstance(argument, Value):
            unknown = dim in dims
            return torch.zeros(argument.shape, dtype=torch.int64) if unknown else op.constant(argument)
        if isinstance(argument, list | tuple):
            return [place(a, d) for d, a in enumerate(argument)]
        return argument

    result: Tensor = op.op.target(labels, *map(place, op.op.args[1:]))
    return result


def _at_any(
    graph: LoweringGraph, x: Activation, dims: Sequence[int], move: Callable[[Tensor], Tensor]
) -> Activation:
    """The activation after ``move``, which takes elements along ``dims`` wherever they may lie."""
    moving = [d for d in dims if any(d in a.dims for a in (*x.nodes, *x.pending))]
    if moving:
        kept = tuple(1 if d in moving else n for d, n in enumerate(x.shape))
        x = graph.reduce(x, moving, kept, "pick").expanded(x.shape)
    still = [a for a in x.axes if not (a.is_sites and set(a.dims) & set(dims))]
    axes = tuple(a.with_labels(move(a.labels)) for a in still)
    shape = move(torch.zeros((), dtype=torch.int64).expand(x.shape)).shape
    return Activation(tuple(shape), axes, x.via)


def with_new_sites(x: Activation, shape: tuple[int, ...]) -> Activation:
    """Positions of their own for the dimensions along which nothing varies; the first is the batch."""
    known = {d for a in x.axes for d in a.dims}
    new = [d for d in range(1, len(shape)) if d not in known and shape[d] > 1]
    return Activation(shape, (*x.axes, *(Axis(arange_along(shape, d), Space(shape[d])) for d in new)), x.via)


def lower_order(op: Operation, graph: LoweringGraph) -> tuple[Activation, ...]:
    """``topk``, ``sort``, ``kthvalue``: values from anywhere along a dimension, and where they were."""
    x = op.as_activation(op.tensors()[0])
    rank = len(x.shape)
    dim = int(op.argument("dim", -1)) % rank
    values = op.op.outputs[0]
    if len(values.shape) < rank:
        picked = graph.reduce(x, (dim,), values.shape, op.name)
        return picked, with_new_sites(Activation(values.shape, ()), values.shape)
    size = values.shape[dim]
    picked = with_new_sites(_at_any(graph, x, [dim], lambda t: t.narrow(dim, 0, size)), values.shape)
    where = Activation(values.shape, picked.sites)
    return (picked, where) if len(op.op.outputs) == 2 else (where,)


def lower_put(op: Operation, graph: LoweringGraph) -> Activation:
    """``index_put``, ``scatter``, ``index_add``: values written where the input decides.

    Either tensor's values may be anywhere along the dimensions that are written to. So a graph network's
    messages, summed up at the nodes of an edge list, keep their neurons.

    Raises:
        LoweringError: the tensors' sizes leave open which neurons are written.
    """
    first, *rest = op.tensors()
    x, values = op.as_activation(first), op.as_activation(rest[-1])
    if not (values.nodes or values.pending):
        return with_new_sites(Activation(op.shape, x.axes, x.via), op.shape)
    indices = op.argument("indices")
    if isinstance(indices, list | tuple) and None not in indices:
        written = _at_any_row(graph, values, len(op.shape) - len(indices), op.shape)
    elif isinstance(indices, list | tuple):
        written = _at_any_index(op, graph, values, indices)
    else:
        written = _at_any_place(op, graph, values, sorted(picked_dims(op.op)))
    return written if not x.nodes else graph.combine(x, written, "sum")


def _at_any_place(op: Operation, graph: LoweringGraph, values: Activation, dims: list[int]) -> Activation:
    """Values of the result's rank, wherever along ``dims`` of the result they may be."""
    if len(values.shape) != len(op.shape):
        raise LoweringError(
            f"{op!r} writes neurons to positions that depend on the model's input: {list(values.shape)} into "
            f"{list(op.shape)}, expected as many dimensions",
            remedy="pass --unsupported opaque to make it a learned all-to-all block",
        )
    cut = [*dims, *(d for d, n in enumerate(op.shape) if values.shape[d] != n)]
    kept = [d for d in range(len(op.shape)) if d not in cut]
    written = _at_any(graph, values, cut, lambda labels: restrict(labels, kept))
    return with_new_sites(written.expanded(op.shape), op.shape)


def _at_any_index(
    op: Operation, graph: LoweringGraph, values: Activation, indices: Sequence[Value | None]
) -> Activation:
    """Values of ``x[:, i, j] = values``, wherever along the dimensions that have an index they may be."""
    given = {d: index for d, index in enumerate(indices) if index is not None}
    dims, together = [*given], broadcast_shape(*(index.shape for index in given.values()))
    # With other dimensions between them, the indices' come first.
    start = dims[0] if dims[-1] - dims[0] < len(dims) else 0
    kept = [n for d, n in enumerate(op.shape) if d not in given]
    wide = values.expanded((*kept[:start], *together, *kept[start:]))

    def move(labels: Tensor) -> Tensor:
        labels = labels[(slice(None),) * start + (0,) * len(together)]
        for d in dims:
            labels = labels.unsqueeze(d)
        return labels

    written = _at_any(graph, wide, range(start, start + len(together)), move)
    return with_new_sites(written.expanded(op.shape), op.shape)


def _at_any_row(graph: LoweringGraph, values: Activation, rank: int, shape: tuple[int, ...]) -> Activation:
    """Rows whose last ``rank`` dimensions are kept, wherever in a tensor of this shape they may be."""
    leading = tuple(range(len(values.shape) - rank))
    kept = graph.reduce(values, leading, values.shape[len(leading) :], "put") if leading else values
    axes = tuple(a.with_labels(a.labels.expand(shape)) for a in kept.axes)
    return with_new_sites(Activation(shape, axes, kept.via), shape)


def lower_counts(op: Operation, graph: LoweringGraph) -> Activation:
    """Histograms: numbers of things, which no neuron's value goes into smoothly."""
    del graph
    return with_new_sites(Activation(op.shape, ()), op.shape)


def lower_one_hot(op: Operation, graph: LoweringGraph) -> Activation:
    """Positions of a category: no neuron's value, but a choice between things that have neurons."""
    del graph
    x = op.as_activation(op.tensors()[0])
    sites = tuple(s.with_labels(s.labels.unsqueeze(-1).expand(op.shape)) for s in x.sites)
    return with_new_sites(Activation(op.shape, sites), op.shape)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Writing by position and ordering; picking by position comes here from data movement."""
    for name in ("topk", "sort", "kthvalue", "argsort", "msort"):
        register(f"aten.{name}", lower_order)
    register("aten.one_hot", lower_one_hot)
    for key in sorted(WRITES):
        register(key, lower_put)
    for name in ("histc", "bincount"):
        register(f"aten.{name}", lower_counts)
