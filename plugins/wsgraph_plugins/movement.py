"""Data movement: the very operator is run on the labels (DESIGN section 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wsgraph.errors import LoweringError
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.interchange_ops import PICKS
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along
from wsgraph.provenance.follow import follow
from wsgraph.provenance.moves import MOVEMENTS, PADDING, mover, padded_dims
from wsgraph.provenance.params import Constant
from wsgraph_plugins.lookup import pick

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.ir.graph import Value
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation


def lower_movement(op: Operation, graph: LoweringGraph) -> tuple[Activation, ...]:
    """Views, permutations, slices, rolls, padding, gathers.

    Raises:
        LoweringError: sizes or amounts depend on the model's input.
    """
    first, *rest = op.tensors()
    x = op.state(first)
    if not isinstance(x, Activation) or any(isinstance(op.state(v), Activation) for v in rest):
        if op.key in PICKS:
            return (pick(op, graph),)
        raise LoweringError(
            f"{op!r} moves elements by amounts that depend on the model's input",
            remedy="pass --unsupported opaque to make it a learned all-to-all block",
        )

    def values(value: Value) -> Tensor | None:
        state = op.state(value)
        return op.constant(value) if isinstance(state, Constant) else None

    out = []
    for k, value in enumerate(op.op.outputs):
        move = mover(op.op, k, values)
        axes = (*(follow(op.op, k, a, x.shape, move) for a in x.axes), *_new_places(x, op))
        fresh = x.fresh if len(op.op.outputs) == 1 else None
        out.append(replace(x, shape=value.shape, axes=axes, fresh=fresh))
    return tuple(out)


def _new_places(x: Activation, op: Operation) -> list[Axis]:
    """Positions along dimensions of which there was one only, before others were padded to it."""
    dims = padded_dims(op.argument("pad"), len(x.shape)) if op.key in PADDING else ()
    return [Axis(arange_along(op.shape, d), Space(op.shape[d])) for d in sorted(dims) if x.shape[d] == 1]


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Everything in :data:`wsgraph.provenance.moves.MOVEMENTS`."""
    for key in sorted(MOVEMENTS):
        register(key, lower_movement)
