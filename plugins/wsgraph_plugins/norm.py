"""Normalisations: nodes with the shift, one-to-one edges with the scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wsgraph.events.blocks import Learned
from wsgraph.lowering.builder import Nodes
from wsgraph.lowering.facade import LoweringGraph
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.operation import Operation
from wsgraph.provenance.axes import Activation
from wsgraph.provenance.params import ParamValue
from wsgraph_plugins.elementwise import annotate


def lower_last_dims(op: Operation, graph: LoweringGraph) -> Activation:
    """LayerNorm and RMSNorm: the parameters lie along the last dimensions."""
    dims = tuple(range(-len(op.argument("normalized_shape")), 0))
    return _normalise(op, graph, op.activation("input", dims), lambda p: p)


def lower_channels(op: Operation, graph: LoweringGraph) -> Activation:
    """BatchNorm, GroupNorm and InstanceNorm: the parameters lie along dimension 1.

    Stored statistics are features of the nodes, so that encoders can fold them into the effective scale
    and shift.
    """
    x = op.activation("input", (1,))
    behind = (1,) * (len(x.shape) - 2)
    return _normalise(op, graph, x, lambda p: p.reshape(-1, *behind))


def _normalise(op: Operation, graph: LoweringGraph, x: Activation, lay_out: Any) -> Activation:
    weight, bias = op.param("weight"), op.param("bias")
    mean, var = op.param("running_mean"), op.param("running_var")
    if weight is None and mean is None:
        out = annotate(graph, x, op.name)
        return out if bias is None else graph.shift(out, lay_out(bias))
    if weight is None:
        assert mean is not None
        out = graph.scale(x, lay_out(mean))
        edge = graph.edges[-1]
        order = edge.feature
        edge.feature = Learned("identity")
    else:
        out = graph.scale(x, lay_out(weight))
        order = graph.edges[-1].feature
    block = out.fresh
    assert block is not None
    assert isinstance(order, ParamValue)
    for name, p in (("bias", bias), ("running_mean", mean), ("running_var", var)):
        if p is not None:
            block.features[name] = _in_order(p, order)
    _describe(op, block)
    return replace(out, via=())


def _in_order(p: ParamValue, order: ParamValue) -> ParamValue:
    """The parameter's elements in the order in which the nodes took the scale's."""
    elements = order.elements().reshape(-1)
    if len(elements) == p.shape[0] and bool((elements.diff() == 1).all()):
        return p
    return p.reshape(-1).select(0, elements - (elements.min() if len(elements) == p.shape[0] else 0))


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
