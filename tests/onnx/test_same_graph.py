"""The same network gives the same graph, compiled directly and from both of torch's ONNX exporters.

`benchmarks/onnx_same_graph.py` compares networks of real sizes in all four ways of exporting them.
"""

import contextlib
import io
import warnings

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

import wsgraph
from tests.onnx.models import FLOAT, by_graph
from tests.onnx.models import model as by_hand
from wsgraph.frontends.onnx.opening import open_onnx
from wsgraph.ir.execute import execute
from wsgraph.testing.same_graph import difference, features


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.deep = block(1, 4), block(4, 8)
        self.up, self.last = nn.ConvTranspose2d(8, 4, 2, 2), block(8, 2)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        a = self.down(x)
        return self.last(torch.cat([a, self.up(self.deep(self.pool(a)))], 1))


def block(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU())


class Written(nn.Module):
    """Layers that older opsets write out: LayerNorm, GELU, SiLU, Hardswish."""

    def __init__(self):
        super().__init__()
        self.a, self.n, self.b = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 6)

    def forward(self, x):
        x = nn.functional.gelu(self.n(self.a(x)))
        x = nn.functional.silu(self.b(x)) + x
        return nn.functional.hardswish(x)


class First(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[0]


def vit():
    import torchvision

    return torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=3), torch.randn(1, 3, 32, 32)


def swin():
    import torchvision

    model = torchvision.models.SwinTransformer([4, 4], 8, [2, 2], [1, 2], [4, 4], num_classes=3)
    return model, torch.randn(1, 3, 64, 64)


def bert():
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return First(BertModel(BertConfig(vocab_size=11, max_position_embeddings=9, **sizes))), torch.zeros(
        1, 5, dtype=torch.int64
    )


class Recurrent(nn.Module):
    """Two recurrent layers; all results are used, the last states too."""

    def __init__(self, kind, **options):
        super().__init__()
        self.table, self.layers = nn.Embedding(9, 5), getattr(nn, kind)(5, 4, 2, **options)
        self.last = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x):
        out, states = self.layers(self.table(x))
        return self.last(out), states


def recurrent(kind, **options):
    return lambda: (Recurrent(kind, **options), torch.zeros(7, 1, dtype=torch.int64))


class Chain(nn.Module):
    """Two modules of one layer each, and a state that is learned: nothing to be put together here."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.LSTM(5, 4), nn.GRU(4, 4)
        self.c, self.state = nn.GRU(4, 4), nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x):
        return self.c(self.b(self.a(x)[0], self.state)[0])[0]


NETWORKS = {
    "unet": lambda: (Unet(), torch.randn(1, 1, 8, 8)),
    "written": lambda: (Written(), torch.randn(1, 4)),
    "lstm": recurrent("LSTM"),
    "bilstm": recurrent("LSTM", bidirectional=True, bias=False),
    "gru": recurrent("GRU"),
    "bigru": recurrent("GRU", bidirectional=True),
    "rnn": recurrent("RNN", nonlinearity="relu"),
    "chain": lambda: (Chain(), torch.randn(7, 1, 5)),
    "vit": vit,
    "swin": swin,
    "bert": bert,
}

NEW, OLD = {"dynamo": True}, {"dynamo": False}
PLAIN = {"dynamo": False, "do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
"""The older exporter without its optimisations."""


def randomised(model):
    """Normalisations start out as identities, which would hide mistakes."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and tensor.dim() < 2:
                tensor.copy_(torch.rand_like(tensor) + (1.0 if "var" in name else 0.1))
    return model.eval()


def export(model, example, path, settings):
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters deprecate themselves, and parts of torch
        torch.onnx.export(model, (example,), str(path), **settings)
    return path


def folded(model):
    """Convolutions with their BatchNorm folded in, by torch itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's module uses what torch deprecates
        from torch.fx.experimental.optimization import fuse
    return fuse(model)


def built(name):
    torch.manual_seed(0)
    model, example = NETWORKS[name]()
    return randomised(model), example


# The newer exporter takes seconds a network: the benchmark compares all of them with it.
SAME = [(name, NEW) for name in ("written", "lstm")]
SAME += [(name, OLD) for name in ("lstm", "bilstm", "gru", "bigru", "rnn", "chain", "vit", "bert")]
SAME += [(name, PLAIN) for name in ("unet", "lstm", "gru", "swin")]


@pytest.mark.parametrize(("name", "settings"), SAME, ids=lambda v: v if isinstance(v, str) else len(v))
def test_the_same_graph_and_weights(tmp_path, name, settings):
    model, example = built(name)
    path = export(model, example, tmp_path / "m.onnx", settings)
    assert not difference(wsgraph.compile(model, example), wsgraph.compile(path))


@pytest.mark.parametrize(("name", "settings"), [("unet", NEW), ("unet", OLD)])
def test_folding_of_batch_norm_is_all_that_defaults_change(tmp_path, name, settings):
    model, example = built(name)
    exported = wsgraph.compile(export(model, example, tmp_path / "m.onnx", settings))
    assert difference(wsgraph.compile(model, example), exported)
    assert not difference(wsgraph.compile(folded(model), example), exported, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lstm", "bilstm", "gru", "bigru", "rnn", "chain"])
def test_recurrent_layers_put_together_compute_the_same(tmp_path, name):
    model, example = built(name)
    path = export(model, example, tmp_path / "m.onnx", OLD)
    source = open_onnx(path)
    layers = [op.key for op in source.graph.ops if op.key in ("aten.lstm", "aten.gru", "aten.rnn_relu")]
    assert len(layers) == (3 if name == "chain" else 1)
    got = execute(source.graph, (example,), source.tensors)[0]
    want, _ = torch.utils._pytree.tree_flatten(model(example))
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_older_opsets_write_layers_out(tmp_path, opset):
    model, example = built("written")
    path = export(model, example, tmp_path / "m.onnx", {**PLAIN, "opset_version": opset})
    assert not difference(wsgraph.compile(model, example), wsgraph.compile(path))
    torch.testing.assert_close(by_graph(path, example)[0], model(example), rtol=1e-4, atol=1e-5)


def test_the_comparison_can_fail():
    left, right = (wsgraph.compile(nn.Linear(3, n), "1x3") for n in (4, 5))
    assert "node block" in difference(left, right)
    other = wsgraph.compile(nn.Linear(3, 4), "1x3")
    assert len(features(left)) == len(features(other))
    assert "feature" in difference(left, other)


def test_sizes_that_the_model_leaves_open(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter deprecates itself
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, 16, 16),),
            tmp_path / "m.onnx",
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "batch", 2: "height", 3: "width"}},
        )
    stream = wsgraph.compile(tmp_path / "m.onnx")
    assert any("1x3x224x224" in note for note in stream.structure.meta["notes"])
    assert [n.size for n in stream.node_blocks] == [3, 4, 2]
    assert wsgraph.compile(tmp_path / "m.onnx", "1x3x20x20").num_nodes == 9


OPEN = {
    "Conv": ([6, 3, 3, 3], ["n", "c", "h", "w"], [1, 6, 224, 224], {"group": 2}),
    "ConvTranspose": ([6, 3, 3], [None, None, None], [1, 6, 16], {}),
    "Gemm": ([5, 7], ["batch", "features"], [1, 7], {"transB": 1}),
    "MatMul": ([7, 5], ["batch", "tokens", "features"], [1, 16, 7], {}),
}


@pytest.mark.parametrize("kind", OPEN)
def test_layers_tell_how_many_channels_an_open_input_has(kind):
    weight, shape, assumed, attributes = OPEN[kind]
    node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    weights = {"w": np.random.default_rng(0).standard_normal(weight, dtype=np.float32)}
    stream = wsgraph.compile(by_hand([node], {"x": (FLOAT, shape)}, {"y": (FLOAT, None)}, weights))
    spec = "x".join(map(str, assumed))
    assert any(f"input assumed to be {spec} " in note for note in stream.structure.meta["notes"])
