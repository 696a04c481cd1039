"""How ``wsgraph_plugin_example::scaled_linear`` becomes nodes and edges.

``wsgraph --help`` imports this module, so it imports nothing heavy: torch stays in ops.py.
"""

import wsgraph


def lower(op, graph):
    sources = graph.sources(op.activation("input"), dim=-1)
    weight = op.param("weight")  # [n_dst, n_src]
    nodes = graph.add_nodes(weight.shape[0], bias=op.param("bias"))
    graph.add_edges(sources, nodes, weight)
    return graph.output(sources, nodes, dim=-1)


@wsgraph.hookimpl
def wsgraph_register_lowerings(register):
    register("wsgraph_plugin_example.scaled_linear", lower)
