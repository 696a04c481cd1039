"""The error for an operator that no plugin lowers, with the plugin that would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.errors import UnsupportedOperatorError

if TYPE_CHECKING:
    from wsgraph.ir.graph import Op

__all__ = ["unsupported"]

_REMEDY = """\
write one, or pass --unsupported opaque. A plugin is a module like this, named in the entry-point group \
'wsgraph' (wsgraph plugins new NAME writes one):

    import wsgraph
    def lower_{name}(op, graph):
        sources = graph.sources(op.activation("{source}"), dim=-1)
        nodes = graph.add_nodes({size})
        {edges}
        return graph.output(sources, nodes, dim=-1)
    @wsgraph.hookimpl
    def wsgraph_register_lowerings(register): register("{key}", lower_{name})"""


_WEIGHTED = ('op.param("{weight}").shape[0]', 'graph.add_edges(sources, nodes, op.param("{weight}"))')
_LEARNED = ("op.shape[-1]", 'graph.learned(sources.ids, nodes, "{weight}")')
"""Size of the operator's output, and its edges: with a parameter for weights, or learned ones."""


def unsupported(op: Op, *, with_parameters: bool) -> UnsupportedOperatorError:
    """Names operator, scope, input shapes, and the eight lines of a plugin for it."""
    what = "with parameters" if with_parameters else "between neurons"
    where = op.scope or "the top level"
    shapes = [list(v.shape) for v in op.inputs()]
    source, weight = (*op.arguments, "weight", "weight")[:2]
    size, edges = _WEIGHTED if with_parameters else _LEARNED
    name = op.key.replace(".", "_").replace("::", "_")
    return UnsupportedOperatorError(
        f"no plugin lowers the operator {op.key!r} {what}, at {where} (inputs {shapes})",
        remedy=_REMEDY.format(
            name=name,
            key=op.key,
            source=source,
            size=size.format(weight=weight),
            edges=edges.format(weight=weight if with_parameters else name),
        ),
    )
