"""The graph as lowerings see it: blocks, and the ways neurons feed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.lowering import alignment, contraction, mixing, per_neuron, reduction
from wsgraph.lowering import sources as source_rules
from wsgraph.lowering.builder import GraphBuilder, Nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsgraph.lowering.sources import Sources
    from wsgraph.provenance.axes import Activation
    from wsgraph.provenance.params import ParamValue

__all__ = ["LoweringGraph"]


class LoweringGraph(GraphBuilder):
    """What a lowering gets as ``graph``."""

    def sources(self, x: Activation, dim: int | Sequence[int] = -1) -> Sources:
        """The neurons along the dimensions that a layer contracts."""
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        return source_rules.find_sources(self, x, dims)

    def add_edges(self, sources: Sources, dst: Nodes, weight: ParamValue) -> None:
        """+E of a layer; timestamps tick once.

        Args:
            sources: from :meth:`sources`.
            dst: the layer's nodes.
            weight: ``[n_out, n_in]`` or ``[n_out, n_in, m]`` with m parallel edges a pair.
        """
        if len(weight.shape) == 2:
            weight = weight.apply(lambda t: t.unsqueeze(-1))
        contraction.connect(self, sources, dst, weight)

    def output(self, sources: Sources, dst: Nodes, dim: int = -1) -> Activation:
        """The layer's result, its neurons along ``dim``; everything that was not contracted is kept."""
        kept = [n for d, n in enumerate(sources.activation.shape) if d not in sources.dims]
        at = dim % (len(kept) + 1)
        shape = (*kept[:at], dst.size // sources.groups, *kept[at:])
        return contraction.output(sources, dst, shape, at)

    def linear(
        self, x: Activation, weight: ParamValue, bias: ParamValue | None = None, dim: int = -1
    ) -> Activation:
        """A whole linear layer: nodes, dense edges, output along the contracted dimension.

        Args:
            x: the activation.
            weight: ``[n_out, n_in]``.
            bias: ``[n_out]`` or None.
            dim: the contracted dimension.
        """
        sources = self.sources(x, dim)
        nodes = contraction.new_layer(self, sources, weight.shape[0], bias=bias)
        self.add_edges(sources, nodes, weight)
        return self.output(sources, nodes, dim)

    def add_grouped_edges(self, ids: Tensor, dst: Nodes, weight: ParamValue, sources: Sources) -> None:
        """+E of a layer in groups; see :func:`wsgraph.lowering.contraction.connect_grouped`."""
        contraction.connect_grouped(self, ids, dst, weight, sources)

    def combine(self, left: Activation, right: Activation, kind: str) -> Activation:
        """An element-wise operator on two activations: ``sum`` or ``product``."""
        return alignment.combine(self, left, right, kind)

    def spread(self, x: Activation, layout: tuple[int, ...]) -> tuple[Activation, Nodes, Tensor, Tensor]:
        """Nodes for a layer with several per-neuron parameters; see :func:`per_neuron.spread_positions`."""
        return per_neuron.spread_positions(self, x, layout)

    def scale(self, x: Activation, p: ParamValue) -> Activation:
        """An element-wise product with a parameter."""
        return per_neuron.scale_by_parameter(self, x, p)

    def shift(self, x: Activation, p: ParamValue, table_dim: int | None = None) -> Activation:
        """An element-wise sum with a parameter: bias or position table (always one along ``table_dim``)."""
        return per_neuron.add_parameter(self, x, p, table_dim)

    def reduce(self, x: Activation, dims: Sequence[int], shape: tuple[int, ...], name: str) -> Activation:
        """A reduction along dimensions."""
        return reduction.reduce_activation(self, x, dims, shape, name)

    def matmul(self, left: Activation, right: Activation, shape: tuple[int, ...]) -> Activation:
        """A matrix product of two activations: attention, in either half."""
        a, b, _ = mixing.matmul_operands(left, right)
        return mixing.mix(self, a, b, 1, shape)

    def force(self, x: Activation) -> Activation:
        """Give attention logits nodes of their own."""
        return source_rules.force(self, x)
