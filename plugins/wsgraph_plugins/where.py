"""``where``: by a known mask over neurons each element is one operand's; by any other, either's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.provenance.axes import Activation, Axis, broadcast, restrict, unite_sites, varying_dims
from wsgraph.provenance.params import Constant
from wsgraph_plugins.elementwise import lower_elementwise

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_where(op: Operation, graph: LoweringGraph) -> Activation:
    """``torch.where(mask, x, y)``."""
    condition, *operands = op.tensors()
    parts = [s.expanded(op.shape) for s in map(op.state, operands) if isinstance(s, Activation)]
    known = op.constant(condition) if isinstance(op.state(condition), Constant) else None
    if known is None or len(parts) != 2:
        return lower_elementwise(op, graph)
    mask = known.bool()
    if bool(mask.all()):
        return parts[0]
    if not bool(mask.any()):
        return parts[1]
    return _joined(mask.expand(op.shape), *parts) or lower_elementwise(op, graph)


def _joined(mask: Tensor, x: Activation, y: Activation) -> Activation | None:
    """The neurons that the mask leaves of both; None where it treats all neurons alike."""
    over = set(varying_dims(mask))
    if x.pending or y.pending or not any(over & set(a.dims) for a in (*x.nodes, *y.nodes)):
        return None
    partners = {a.dims: a for a in y.nodes}
    if len(x.nodes) != len(y.nodes) or any(a.dims not in partners for a in x.nodes):
        return None
    axes = []
    for axis in x.nodes:
        dims = sorted(over | set(axis.dims))
        here, mine, theirs = broadcast(
            [restrict(t, dims) for t in (mask, axis.labels, partners[axis.dims].labels)]
        )
        axes.append(Axis(torch.where(here, mine, theirs).expand(x.shape)))
    via = tuple(dict.fromkeys((*x.via, *y.via)))
    return Activation(x.shape, (*unite_sites(x, y), *axes), via=via)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """``where``."""
    register("aten.where", lower_where)
