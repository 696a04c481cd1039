"""Normalisations: nodes with the shift, one-to-one edges with the scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.events.blocks import Learned
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph_plugins.elementwise import annotate

if TYPE_CHECKING:
    from wsgraph.lowering.builder import Nodes
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation
    from wsgraph.provenance.axes import Activation


def lower_last_dims(op: Operation, graph: LoweringGraph) -> Activation:
    """LayerNorm and RMSNorm: the parameters lie along the last dimensions."""
    dims = tuple(range(-len(op.argument("normalized_shape")), 0))
    return _normalise(op, graph, op.activation("input", dims), 0)


def lower_channels(op: Operation, graph: LoweringGraph) -> Activation:
    """BatchNorm, GroupNorm and InstanceNorm: the parameters lie along dimension 1.

    Stored statistics are features of the nodes, so that encoders can fold them into the effective scale
    and shift.
    """
    x = op.activation("input", (1,))
    return _normalise(op, graph, x, len(x.shape) - 2)


def _normalise(op: Operation, graph: LoweringGraph, x: Activation, behind: int) -> Activation:
    """Nodes with shift and statistics; ``behind`` dimensions of the activation follow the parameters'."""
    given = {name: op.param(name) for name in ("weight", "bias", "running_mean", "running_var")}
    present = {name: p for name, p in given.items() if p is not None}
    if not present:
        return annotate(graph, x, op.name)
    layout = next(iter(present.values())).shape
    out, block, sources, positions = graph.spread(x, (*layout, *(1,) * behind))
    scale = present.pop("weight", None)
    feature = Learned("identity") if scale is None else scale.reshape(-1).select(0, positions)
    graph.one_to_one(sources, block, feature, via=x.via)
    for name, p in present.items():
        block.features[name] = p.reshape(-1).select(0, positions)
    _describe(op, block)
    return out


def _describe(op: Operation, block: Nodes) -> None:
    block.attrs["norm"] = op.name
    eps = op.argument("eps")
    if isinstance(eps, float):
        block.attrs["eps"] = eps
    groups = op.argument("num_groups")
    if isinstance(groups, int):
        block.attrs["groups"] = groups


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """All normalisations of torch.nn."""
    for name in ("layer_norm", "rms_norm", "native_layer_norm"):
        register(f"aten.{name}", lower_last_dims)
    for name in ("batch_norm", "group_norm", "instance_norm"):
        register(f"aten.{name}", lower_channels)
