"""Operators at random settings, against onnxruntime."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.onnx.models import FLOAT, by_graph, by_runtime, mlp, model
from wsgraph.frontends.onnx.opening import open_onnx

BRIEF = settings(max_examples=25, deadline=None, derandomize=True)


def agree(proto, *inputs):
    for got, want in zip(by_graph(proto, *inputs), by_runtime(proto, *inputs), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def one(op, inputs, opset=17, outputs=1, stored=None, **attributes):
    """A model of one operator; shapes of its outputs are left open."""
    names = [*inputs, *(stored or {})]
    node = helper.make_node(op, names, [f"y{k}" for k in range(outputs)], **attributes)
    feeds = {n: (FLOAT, list(v.shape)) for n, v in inputs.items()}
    return model([node], feeds, {f"y{k}": (FLOAT, None) for k in range(outputs)}, stored, opset)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def test_a_network():
    agree(mlp(), normal(1, 3))


@BRIEF
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 2),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
)
def test_convolution(kernel, stride, dilation, groups, pads, auto):
    x, w, b = normal(1, 4, 9, 8), normal(6, 4 // groups, kernel, kernel), normal(6)
    attributes = {"strides": [stride, stride], "group": groups, "auto_pad": auto}
    attributes["dilations"] = [dilation if auto == "NOTSET" else 1] * 2
    if auto == "NOTSET":
        attributes["pads"] = pads
    agree(one("Conv", {"x": x}, stored={"w": w, "b": b}, **attributes), x)


@BRIEF
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.integers(0, 1),
)
def test_transposed_convolution(kernel, stride, groups, pads, extra):
    x, w, b = normal(1, 4, 5, 4), normal(4, 3, kernel, kernel), normal(3 * groups)
    extra = min(extra, stride - 1)
    attributes = {
        "strides": [stride, stride],
        "group": groups,
        "pads": pads,
        "output_padding": [extra, extra],
    }
    agree(one("ConvTranspose", {"x": x}, stored={"w": w, "b": b}, **attributes), x)


@BRIEF
@given(
    st.sampled_from(["MaxPool", "AveragePool", "LpPool"]),
    st.integers(2, 3),
    st.integers(1, 3),
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_pooling(op, kernel, stride, pads, ceil, count):
    x = normal(1, 2, 7, 6)
    attributes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": pads}
    if op != "LpPool":
        attributes["ceil_mode"] = int(ceil)
    if op == "AveragePool":
        attributes["count_include_pad"] = int(count)
    # onnxruntime counts the padding of incomplete windows wrongly before opset 19
    agree(one(op, {"x": x}, opset=19, **attributes), x)


@BRIEF
@given(
    st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]),
    st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_resize(mode, transform, rounding, size):
    x = normal(1, 2, 4, 5)
    empty, sizes = np.array([], np.float32), np.array([1, 2, *size])
    attributes = {"mode": mode, "coordinate_transformation_mode": transform}
    if mode == "nearest":
        attributes["nearest_mode"] = rounding
    stored = {"roi": empty, "scales": empty, "sizes": sizes}
    agree(one("Resize", {"x": x}, stored=stored, **attributes), x)


@pytest.mark.parametrize("op", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("biased", [False, True])
def test_recurrent_layers(op, direction, biased):
    gates, ways = {"RNN": 1, "GRU": 3, "LSTM": 4}[op], 1 + (direction == "bidirectional")
    x = normal(5, 2, 3)
    stored = {"w": normal(ways, gates * 4, 3), "r": normal(ways, gates * 4, 4, seed=1)}
    if biased:
        stored["b"] = normal(ways, gates * 8, seed=2)
    for reset in (0, 1) if op == "GRU" else (None,):
        more = {} if reset is None else {"linear_before_reset": reset}
        outputs = 3 if op == "LSTM" else 2
        agree(
            one(op, {"x": x}, outputs=outputs, stored=stored, hidden_size=4, direction=direction, **more), x
        )


def test_a_torch_lstm_through_both_exporters(tmp_path):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)

        def forward(self, x):
            return self.layer(x)[0]

    net, x = Net().eval(), torch.randn(1, 5, 3)
    with pytest.warns():
        torch.onnx.export(net, (x,), tmp_path / "net.onnx", dynamo=False)
    torch.testing.assert_close(by_graph(tmp_path / "net.onnx", x)[0], net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_layers_are_put_together_only_where_nothing_is_turned_between_them(turned):
    rng = np.random.default_rng(0)
    shapes = {"w": [1, 12, 3], "r": [1, 12, 3], "v": [1, 12, 3], "s": [1, 12, 3]}
    stored = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r"], ["a", "h"], hidden_size=3),
        helper.make_node("Squeeze", ["a"], ["b"], axes=[1]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[1, 0, 2] if turned else [0, 1, 2]),
        helper.make_node("LSTM", ["c", "v", "s"], ["y", "k"], hidden_size=3),
        helper.make_node("Concat", ["k", "h"], ["z"], axis=0),
    ]
    proto = model(
        nodes, {"x": (FLOAT, [2, 2, 3])}, {"y": (FLOAT, None), "z": (FLOAT, None)}, stored, opset=11
    )
    x = rng.standard_normal((2, 2, 3), dtype=np.float32)
    assert sum(op.key == "aten.lstm" for op in open_onnx(proto).graph.ops) == (2 if turned else 1)
    agree(proto, x)
