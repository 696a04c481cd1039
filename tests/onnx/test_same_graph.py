"""The same network gives the same graph, compiled directly and from both of torch's ONNX exporters."""

import contextlib
import io
import warnings

import pytest
import torch
from torch import nn

import wsgraph
from tests.onnx.models import by_graph
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


def resnet18():
    import torchvision

    return torchvision.models.resnet18(num_classes=3), torch.randn(1, 3, 32, 32)


def mobilenet():
    import torchvision

    return torchvision.models.mobilenet_v3_small(num_classes=3), torch.randn(1, 3, 32, 32)


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


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=9, use_cache=False)
    return GPT2LMHeadModel(config), torch.zeros(1, 5, dtype=torch.int64)


NETWORKS = {
    "unet": lambda: (Unet(), torch.randn(1, 1, 8, 8)),
    "written": lambda: (Written(), torch.randn(1, 4)),
    "resnet18": resnet18,
    "mobilenet": mobilenet,
    "vit": vit,
    "swin": swin,
    "bert": bert,
    "gpt2": gpt2,
}
UNEXPORTABLE = {("gpt2", False)}  # the older exporter does not know aten::diff
SLOW = {
    ("mobilenet", True),
    ("swin", True),
    ("resnet18", True),
    ("vit", True),
    ("bert", False),
}  # seconds in the newer exporter; docs/onnx.md has their figures


def randomised(model):
    """Normalisations start out as identities, which would hide mistakes."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and tensor.dim() < 2:
                tensor.copy_(torch.rand_like(tensor) + (1.0 if "var" in name else 0.1))
    return model.eval()


def export(model, example, path, *, dynamo, opset=None):
    """Without the exporters' own optimisations, which fold BatchNorm and position tables."""
    options = {"optimize": False} if dynamo else {"do_constant_folding": False, "opset_version": opset or 17}
    if not dynamo:
        options["training"] = torch.onnx.TrainingMode.PRESERVE
    quiet = io.StringIO()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporters deprecate themselves, and parts of torch
            torch.onnx.export(model, (example,), path, dynamo=dynamo, **options)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return path


CASES = [(n, d) for n in NETWORKS for d in (False, True) if (n, d) not in UNEXPORTABLE | SLOW]


@pytest.mark.parametrize(("name", "dynamo"), CASES)
def test_the_same_graph_and_weights(tmp_path, name, dynamo):
    torch.manual_seed(0)
    model, example = NETWORKS[name]()
    randomised(model)
    direct = wsgraph.compile(model, example)
    path = export(model, example, tmp_path / "m.onnx", dynamo=dynamo)
    assert_same(direct, wsgraph.compile(path))


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_older_opsets_write_layers_out(tmp_path, opset):
    torch.manual_seed(0)
    model, example = Written(), torch.randn(1, 4)
    randomised(model)
    path = export(model, example, tmp_path / "m.onnx", dynamo=False, opset=opset)
    assert_same(wsgraph.compile(model, example), wsgraph.compile(path))
    torch.testing.assert_close(by_graph(path, example)[0], model(example), rtol=1e-4, atol=1e-5)


def test_the_comparison_can_fail():
    left, right = (wsgraph.compile(nn.Linear(3, n), "1x3") for n in (4, 5))
    with pytest.raises(AssertionError):
        assert_same(left, right)
    other = wsgraph.compile(nn.Linear(3, 4), "1x3")
    assert len(features(left)) == len(features(other))
    with pytest.raises(AssertionError):
        assert_same(left, other)


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
