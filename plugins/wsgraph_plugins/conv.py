"""Convolutions: one edge a kernel position (section 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.errors import LoweringError
from wsgraph.lowering.contraction import new_layer
from wsgraph.lowering.hookspecs import Register, hookimpl
from wsgraph.lowering.spatial import resample
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along, restrict
from wsgraph.provenance.params import ParamValue

if TYPE_CHECKING:
    from wsgraph.lowering.builder import Nodes
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation
    from wsgraph.lowering.sources import Sources


def lower_conv(op: Operation, graph: LoweringGraph) -> Activation:
    """+V n_out with the bias; +E dense or grouped with m = product of the kernel's sizes.

    Stride, padding and dilation change the sites, not the graph.
    """
    weight = op.state(op.argument("weight"))
    spatial = len(op.argument("weight").shape) - 2
    transposed = "transpose" in op.key or bool(op.argument("transposed", False))
    groups = int(op.argument("groups", 1))
    channel = len(op.shape) - spatial - 1
    x = op.activation("input", (channel,))
    if not isinstance(weight, ParamValue) or weight.kind.value == "buffer":
        return _filter_without_parameter(op, graph, x, spatial, groups)
    feature = _by_group(weight, groups, transposed)
    sources = graph.sources(_drop_neurons_at_sites(graph, x, spatial), channel)
    nodes = new_layer(graph, sources, groups * feature.shape[1], bias=op.param("bias"))
    if groups == 1:
        graph.add_edges(sources, nodes, feature.apply(lambda t: t.squeeze(0)))
    else:
        shared = feature.expand(sources.groups, *feature.shape)
        ids = sources.ids.reshape(sources.groups * groups, -1)
        graph.add_grouped_edges(ids, nodes, shared.reshape(len(ids), *feature.shape[1:]), sources)
        _note_places(graph, sources, nodes, groups, channel)
    return _feature_map(op.shape, sources, nodes, channel)


def _note_places(graph: LoweringGraph, sources: Sources, nodes: Nodes, groups: int, channel: int) -> None:
    """Groups that read neurons at different places (one what another part of CReLU has) differ by these."""
    for site in sources.activation.sites:
        if channel in site.dims:
            places = restrict(site.labels, (channel,)).reshape(groups, -1)
            places = places.repeat_interleave(nodes.size // sources.groups // groups, 0)
            graph.placed.append((nodes.ids, places.repeat(sources.groups, 1)))


def _by_group(weight: ParamValue, groups: int, transposed: bool) -> ParamValue:
    """``[g, n_out / g, n_in / g, m]``, whatever way round the convolution keeps its weight."""
    if transposed:
        n_in, n_out = weight.shape[0] // groups, weight.shape[1]
        split = weight.reshape(groups, n_in, n_out, *weight.shape[2:])
        return split.apply(lambda t: t.transpose(1, 2).flatten(3))
    n_out, n_in = weight.shape[0] // groups, weight.shape[1]
    return weight.reshape(groups, n_out, n_in, *weight.shape[2:]).apply(lambda t: t.flatten(3))


def _drop_neurons_at_sites(graph: LoweringGraph, x: Activation, spatial: int) -> Activation:
    """Positions that are neurons (after token mixing) are summed up before a convolution over them."""
    rank = len(x.shape)
    dims = [d for d in range(rank - spatial, rank) if any(d in a.dims for a in x.nodes)]
    if not dims:
        return x
    kept = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    return graph.reduce(x, dims, kept, "conv_sites").expanded(x.shape)


def _filter_without_parameter(
    op: Operation, graph: LoweringGraph, x: Activation, spatial: int, groups: int
) -> Activation:
    """A filter that is no parameter (blurring): depthwise, it is a pooling.

    Raises:
        LoweringError: it mixes channels, or a transposed convolution's depends on the input.
    """
    channel = len(op.shape) - spatial - 1
    computed = isinstance(op.state(op.argument("weight")), Activation)
    if groups == x.shape[channel] == op.shape[channel] and not computed:
        return resample(graph, x, op.shape, spatial, "blur")
    origin = "computed" if computed else "constant"
    raise LoweringError(
        f"{op!r} convolves with a {origin} filter that mixes {x.shape[channel]} channels in {groups} groups",
        remedy="make the filter a parameter, or pass --unsupported opaque",
    )


def _feature_map(shape: tuple[int, ...], sources: Sources, nodes: Nodes, channel: int) -> Activation:
    """New positions behind the channels; what lies before them (a batch of heads) is kept."""
    before = range(channel)
    rank = restrict(sources.rank, before)
    n_out = nodes.size // sources.groups
    local = restrict(arange_along(shape, channel, nodes.base), (channel,))
    axes = [Axis((rank * n_out + local).expand(shape))]
    axes += [
        Axis(arange_along(shape, d), Space(shape[d])) for d in range(channel + 1, len(shape)) if shape[d] > 1
    ]
    for axis in sources.activation.axes:
        if axis is not sources.axis and set(axis.dims) & set(before):
            axes.append(axis.with_labels(restrict(axis.labels, before).expand(shape)))
    return Activation(shape, tuple(axes), fresh=nodes)


@hookimpl
def wsgraph_register_lowerings(register: Register[Any]) -> None:
    """Convolutions of one to three dimensions, transposed ones included."""
    for n in (1, 2, 3):
        register(f"aten.conv{n}d", lower_conv)
        register(f"aten.conv_transpose{n}d", lower_conv)
    register("aten.convolution", lower_conv)
