"""A stream's structure and weights without the names of tensors, modules and operators."""

import torch

from wsgraph.events.blocks import Learned

OPERATORS = {
    "aten.addmm": "aten.linear",  # ONNX has one product of matrices
    "aten.scaled_dot_product_attention": "aten.matmul",  # written out before opset 23
}


def skeleton(stream):
    """What has to be equal: blocks in order, how they are wired, and every feature's numbers."""
    nodes = [(n.size, n.t, attributes(n), sorted(n.features)) for n in stream.node_blocks]
    edges = [(e.src, e.dst, e.t, e.pattern, e.shape, attributes(e), learned(e)) for e in stream.edge_blocks]
    return nodes, edges


def attributes(block):
    """Attributes apart from places in the module tree; operators under one name where ONNX has one."""
    kept = {k: v for k, v in block.attrs.items() if k not in ("scope", "input", "op", "pooling", "via")}
    op = block.attrs.get("op")
    return {**kept, "op": OPERATORS.get(op, op)}


def learned(edge):
    return edge.feature if isinstance(edge.feature, Learned) else None


def features(stream):
    """All parameter features in order."""
    views = [v for n in stream.node_blocks for _, v in sorted(n.features.items())]
    views += [e.feature for e in stream.edge_blocks if not isinstance(e.feature, Learned)]
    return [stream.feature(v) for v in views]


def assert_same(one, other):
    """Equal blocks and equal numbers, element for element."""
    assert skeleton(one) == skeleton(other)
    for left, right in zip(features(one), features(other), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
