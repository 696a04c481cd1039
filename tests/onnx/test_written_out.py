"""Layers that exporters write out are the network's own again, and nothing else is taken for one."""

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

import wsgraph
from tests.onnx.models import FLOAT, by_graph, by_runtime, model
from tests.onnx.test_same_graph import NEW, OLD, export, randomised
from wsgraph.testing.same_graph import difference


def images(*layers):
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *layers, nn.ConvTranspose2d(8, 4, 2, 2))
    return model, torch.randn(1, 3, 6, 6)


def rows(*layers):
    return nn.Sequential(nn.Linear(4, 8), *layers, nn.Linear(8, 2)), torch.randn(1, 5, 4)


class Rotary(nn.Module):
    """Neighbouring neurons are turned against each other; position by position, by a constant."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = self.a(x)
        turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        return self.b(x * 0.8 + turned * 0.6)


def activations(*layers):
    """Far enough from zero for their thresholds."""
    parts = [part for layer in layers for part in (nn.Linear(4, 4), layer)]
    return nn.Sequential(*parts, nn.Linear(4, 2)), 20 * torch.randn(1, 5, 4)


class OwnRms(nn.Module):
    """As Llama writes it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(8))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


NETWORKS = {
    "group": lambda: images(nn.GroupNorm(2, 8), nn.SiLU()),
    "one group": lambda: images(nn.GroupNorm(1, 8)),
    "a group each": lambda: images(nn.GroupNorm(8, 8)),
    "group of rows": lambda: (nn.Sequential(nn.Linear(4, 8), nn.GroupNorm(2, 8)), torch.randn(2, 4)),
    "instance": lambda: images(nn.InstanceNorm2d(8, affine=True)),
    "instance, plain": lambda: images(nn.InstanceNorm2d(8)),
    "layer, no shift": lambda: rows(nn.LayerNorm(8, bias=False)),
    "layer, plain": lambda: rows(nn.LayerNorm(8, elementwise_affine=False)),
    "rms": lambda: rows(nn.RMSNorm(8)),
    "rms, plain": lambda: rows(nn.RMSNorm(8, eps=1e-3, elementwise_affine=False)),
    "rms, own code": lambda: rows(OwnRms()),
    "group, plain": lambda: images(nn.GroupNorm(2, 8, affine=False)),
    "batch, plain": lambda: images(nn.ReLU(), nn.BatchNorm2d(8, affine=False)),
    "clipped": lambda: images(nn.ReLU6(), nn.Conv2d(8, 8, 1), nn.Hardtanh()),
    "prelu": lambda: images(nn.PReLU(8), nn.Conv2d(8, 8, 1), nn.PReLU()),
    "activations": lambda: activations(nn.Mish(), nn.Softplus(), nn.SELU(), nn.LogSigmoid()),
    "rotary": lambda: (Rotary(), torch.randn(1, 5, 4)),
    "shrunk": lambda: activations(nn.Hardshrink()),
}
# The older exporter has no RMSNorm, and other operators for shrinking; the newer one takes seconds a network.
EXPORTED = [(name, OLD) for name in NETWORKS if name not in ("rms", "rms, plain", "shrunk")]
EXPORTED += [
    (name, NEW)
    for name in ("group", "group, plain", "rms", "rms, own code", "prelu", "activations", "shrunk")
]


@pytest.mark.parametrize(("name", "settings"), EXPORTED, ids=lambda v: v if isinstance(v, str) else str(v))
def test_the_same_graph_and_weights(tmp_path, name, settings):
    torch.manual_seed(0)
    network, example = NETWORKS[name]()
    path = export(randomised(network), example, tmp_path / "m.onnx", settings)
    assert not difference(wsgraph.compile(network, example), wsgraph.compile(path))
    torch.testing.assert_close(by_graph(path, example)[0], network(example), rtol=1e-4, atol=1e-5)


def written_out(groups=(1, 2, -1), back=(1, 4, 5), scale=(4, 1), shared=False):
    """A group normalisation of ``x`` [1, 4, 5] in parts; ``shared``: its middle is a result too."""
    rng = np.random.default_rng(0)
    tensors = {
        "groups": np.array(groups),
        "back": np.array(back),
        "scale": rng.standard_normal(scale, dtype=np.float32),
        "shift": rng.standard_normal(scale, dtype=np.float32),
        "w": rng.standard_normal((3, back[1], 1), dtype=np.float32),
    }
    # As the newer exporter writes a normalisation without scale and shift: its name for them says so.
    plain = {"val_1": np.ones(2, np.float32), "val_2": np.zeros(2, np.float32)}
    nodes = [
        helper.make_node("Reshape", ["x", "groups"], ["a"]),
        helper.make_node("InstanceNormalization", ["a", "val_1", "val_2"], ["b"]),
        helper.make_node("Reshape", ["b", "back"], ["c"]),
        helper.make_node("Mul", ["c", "scale"], ["d"]),
        helper.make_node("Add", ["d", "shift"], ["e"]),
        helper.make_node("Conv", ["e", "w"], ["y"]),
    ]
    results = {"y": (FLOAT, None), **({"d": (FLOAT, None)} if shared else {})}
    proto = model(nodes, {"x": (FLOAT, [1, 4, 5])}, results, tensors | plain)
    proto.producer_name = "pytorch"
    return proto


def norms(proto):
    return [n.attrs.get("norm") for n in wsgraph.compile(proto).node_blocks]


def same_numbers(proto):
    x = np.random.default_rng(1).standard_normal((1, 4, 5), dtype=np.float32)
    for got, want in zip(by_graph(proto, x), by_runtime(proto, x), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_a_group_norm_in_parts_is_one_layer():
    proto = written_out()
    assert norms(proto) == [None, "group_norm", None]
    block = wsgraph.compile(proto).node_blocks[1]
    assert (block.attrs["groups"], block.attrs["eps"], list(block.features)) == (2, 1e-5, ["bias"])
    same_numbers(proto)


@pytest.mark.parametrize(
    "parts",
    [
        {"scale": (1, 5)},  # a number for each position
        {"scale": (4, 5)},  # for each channel and position
        {"back": (1, 2, 10), "scale": (2, 1)},  # not put together as it was
        {"shared": True},  # the scaled part is read elsewhere
    ],
)
def test_what_is_no_group_norm_keeps_its_parts(parts):
    proto = written_out(**parts)
    assert len(norms(proto)) > 3
    same_numbers(proto)


def test_a_normalisation_s_own_ones_are_parameters(tmp_path):
    """A freshly initialised scale is one, too; its name tells it from one that the exporter made up."""
    network, example = images(nn.InstanceNorm2d(8, affine=True))
    path = export(network.eval(), example, tmp_path / "m.onnx", OLD)
    assert not difference(wsgraph.compile(network, example), wsgraph.compile(path))


def noted(signature, folded):
    """A product with a stored table, with the newer exporter's notes of where it comes from."""
    table = np.random.default_rng(0).standard_normal((1, 4, 5), dtype=np.float32)
    weight = np.random.default_rng(1).standard_normal((3, 4, 1), dtype=np.float32)
    nodes = [helper.make_node("Mul", ["x", "table"], ["a"]), helper.make_node("Conv", ["a", "w"], ["y"])]
    proto = model(nodes, {"x": (FLOAT, [1, 4, 5])}, {"y": (FLOAT, None)}, {"table": table, "w": weight})
    proto.producer_name = "pytorch"
    lines = ["# inputs", "p_w: PARAMETER target='w'", *signature, "x: USER_INPUT"]
    key = "pkg.torch.export.ExportedProgram.graph_signature"
    proto.graph.metadata_props.add(key=key, value="\n".join(lines))
    info = proto.graph.value_info.add(name="table")
    if folded is not None:
        info.metadata_props.add(key="pkg.onnxscript.optimizer.folded_from", value=folded)
    return proto


ROTARY = ["b_f: BUFFER target='frequencies' persistent=False"]


@pytest.mark.parametrize(
    ("signature", "folded", "trained"),
    [
        (["p_t: PARAMETER target='table'"], None, True),
        (["b_t: BUFFER target='table' persistent=True"], None, False),
        (["c_t: CONSTANT_TENSOR target='table'"], None, False),
        (ROTARY, "['frequencies', 'cos', 'val_3']", False),
        ([*ROTARY, "p_s: PARAMETER target='scale'"], "['frequencies', 'scale']", True),
        (ROTARY, "[not a list", True),  # damaged: as if nothing was written down
        ([], None, True),
    ],
)
def test_the_exporter_s_notes_tell_parameters_from_tables(signature, folded, trained):
    stream = wsgraph.compile(noted(signature, folded))
    read = {e.feature.name for e in stream.edge_blocks if hasattr(e.feature, "name")}
    assert ("table" in read) is trained
    assert set(stream.state_dict()) == {"table", "w"}
