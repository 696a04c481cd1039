"""Event streams built by hand, without the compiler, for the tests of the events package."""

import torch

from wsgraph.events import (
    Derived,
    EdgeBlock,
    EventStream,
    Learned,
    NodeBlock,
    NodeSlice,
    NodeView,
    ParamView,
    Pattern,
    RecipeBuilder,
    Source,
    Structure,
    TensorSpec,
)


def whole(block, size):
    return NodeView((NodeSlice(block, 0, size),), size)


def dense(name, n_dst, n_src, m=1, offset=0):
    return ParamView(name, (n_dst, n_src, m), (n_src * m, m, 1), offset)


def vector(name, size, offset=0):
    return ParamView(name, (size,), (1,), offset)


def specs(tensors, buffers=(), tied=(), unread=()):
    return {
        name: TensorSpec(
            name,
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            "buffer" if name in buffers else "parameter",
            dict(tied).get(name),
            dict(unread).get(name),
        )
        for name, tensor in tensors.items()
    }


def seeded(**shapes):
    generator = torch.Generator().manual_seed(7)
    return {
        name.replace("__", "."): torch.randn(shape, generator=generator) for name, shape in shapes.items()
    }


def mlp():
    """The paper's 2-32-32-1 network of Eq. 3."""
    widths = (2, 32, 32, 1)
    tensors, nodes, edges = {}, [NodeBlock(0, 2, 0, attrs={"role": "input"})], []
    generator = torch.Generator().manual_seed(3)
    for layer in (1, 2, 3):
        n, m = widths[layer], widths[layer - 1]
        scope = f"net.{2 * (layer - 1)}"
        tensors[f"{scope}.weight"] = torch.randn(n, m, generator=generator)
        tensors[f"{scope}.bias"] = torch.randn(n, generator=generator)
        role = "output" if layer == 3 else "hidden"
        attrs = {"role": role, "scope": scope} | ({} if layer == 3 else {"activation": "sine"})
        nodes.append(NodeBlock(layer, n, layer, {"bias": vector(f"{scope}.bias", n)}, attrs))
        edges.append(
            EdgeBlock(
                layer - 1,
                whole(layer - 1, m),
                layer,
                layer,
                Pattern.DENSE,
                (n, m, 1),
                dense(f"{scope}.weight", n, m),
                {"scope": scope},
            )
        )
    meta = {"frontend": "hand", "origin": "siren.pt", "notes": ("made by hand",), "inputs": ("1x2",)}
    return EventStream(Structure(tuple(nodes), tuple(edges), specs(tensors), meta=meta), tensors)


def residual():
    """A block with a skip over two timestamps, a BatchNorm, and a derived, a tied and an unread tensor."""
    tensors = seeded(
        stem__weight=(4, 3), a__weight=(4, 4), b__g=(4, 1), b__v=(4, 4), bn__weight=(4,), bn__bias=(4,)
    )
    tensors |= {
        "bn.running_mean": torch.zeros(4),
        "bn.running_var": torch.ones(4),
        "bn.num_batches_tracked": torch.tensor(5),
        "head.weight": tensors["a.weight"],
        "table": torch.randn(3, 2),
    }
    build = RecipeBuilder()
    build.call("aten.mul.Tensor", Source("b.g"), Source("b.v"))
    derived = Derived("__wsgraph__.derived.0", (4, 4), build.sources, build.text())
    norm = {
        "bias": vector("bn.bias", 4),
        "running_mean": vector("bn.running_mean", 4),
        "running_var": vector("bn.running_var", 4),
    }
    nodes = (
        NodeBlock(0, 3, 0, attrs={"role": "input"}),
        NodeBlock(1, 4, 1, attrs={"role": "hidden", "scope": "stem"}),
        NodeBlock(2, 4, 1, norm, {"role": "hidden", "scope": "bn", "activation": "relu"}),
        NodeBlock(3, 4, 2, attrs={"role": "hidden", "scope": "a"}),
        NodeBlock(4, 4, 3, attrs={"role": "hidden", "scope": "b"}),
        NodeBlock(5, 4, 4, attrs={"role": "output", "scope": "head"}),
    )
    one = (4, 1)
    shape = (4, 4, 1)
    edges = (
        EdgeBlock(0, whole(0, 3), 1, 1, Pattern.DENSE, (4, 3, 1), dense("stem.weight", 4, 3)),
        EdgeBlock(1, whole(1, 4), 2, 1, Pattern.ONE_TO_ONE, one, ParamView("bn.weight", one, (1, 0))),
        EdgeBlock(2, whole(2, 4), 3, 2, Pattern.DENSE, shape, dense("a.weight", 4, 4)),
        EdgeBlock(3, whole(3, 4), 4, 3, Pattern.DENSE, shape, dense(derived.name, 4, 4)),
        EdgeBlock(4, whole(1, 4), 4, 3, Pattern.ONE_TO_ONE, one, Learned("residual", 2.0)),
        EdgeBlock(5, whole(4, 4), 5, 4, Pattern.DENSE, shape, dense("head.weight", 4, 4)),
    )
    buffers = {"bn.running_mean", "bn.running_var", "bn.num_batches_tracked"}
    specifications = specs(tensors, buffers, [("head.weight", "a.weight")], [("table", "all")])
    return EventStream(Structure(nodes, edges, specifications, derived={derived.name: derived}), tensors)


def grouped():
    """A grouped convolution, a concatenation, and an indexed pattern with structural zeros and a gather."""
    tensors = seeded(conv__weight=(6, 2, 3), sparse=(5,), last=(2, 4))
    indices = {
        "coo": torch.tensor([[0, 1, 9, 3], [0, 0, 1, 2]]),
        "values": torch.tensor([[4], [0], [-1], [2]], dtype=torch.int32),
        "unread": torch.tensor([1, 3]),
        "gather": torch.tensor([5, 0]),
    }
    nodes = (
        NodeBlock(0, 4, 0, attrs={"role": "input"}),
        NodeBlock(1, 6, 1, attrs={"role": "hidden", "sites": 16}),
        NodeBlock(2, 3, 2, attrs={"role": "hidden", "widths": (1, 2)}),
        NodeBlock(3, 4, 3, attrs={"role": "output"}),
    )
    both = NodeView((NodeSlice(0, 0, 4), NodeSlice(1, 0, 6)), 10)
    some = NodeView((NodeSlice(1, 0, 6),), 2, "gather")
    conv = ParamView("conv.weight", (2, 3, 2, 3), (18, 6, 3, 1))
    edges = (
        EdgeBlock(0, whole(0, 4), 1, 1, Pattern.GROUPED, conv.shape, conv),
        EdgeBlock(
            1, both, 2, 2, Pattern.INDEXED, (4, 1), ParamView("sparse", (4, 1), None, 0, "values"), coo="coo"
        ),
        EdgeBlock(2, some, 3, 3, Pattern.DENSE, (4, 2, 1), ParamView("last", (4, 2, 1), (1, 4, 0))),
    )
    structure = Structure(nodes, edges, specs(tensors, unread=[("sparse", "unread")]), indices)
    return EventStream(structure, tensors)


SAMPLES = {"mlp": mlp, "residual": residual, "grouped": grouped}
