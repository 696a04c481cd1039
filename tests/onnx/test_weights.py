"""Stored tensors: names, bits, memory maps, quantisation, what counts as a parameter."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import wsgraph
from tests.onnx.models import FLOAT, INT64, by_graph, by_runtime, mlp, model
from wsgraph.events.blocks import ParamView
from wsgraph.frontends.onnx.reading import read_file


def stored(proto):
    return {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in proto.graph.initializer}


def test_the_state_dict_is_the_model_s_own_bit_for_bit(tmp_path):
    proto = mlp()
    onnx.save(proto, tmp_path / "m.onnx")
    for source in (proto, tmp_path / "m.onnx", str(tmp_path / "m.onnx")):
        state = wsgraph.compile(source).state_dict()
        assert {k: v.tolist() for k, v in state.items()} == {k: v.tolist() for k, v in stored(proto).items()}


def test_gemm_and_matmul_are_linear_layers():
    proto = mlp()
    stream, tensors = wsgraph.compile(proto), stored(mlp())
    assert [n.size for n in stream.node_blocks] == [3, 5, 2]
    assert [e.shape for e in stream.edge_blocks] == [(5, 3, 1), (2, 5, 1)]
    first, second = (stream.feature(e.feature)[..., 0] for e in stream.edge_blocks)
    torch.testing.assert_close(first, tensors["a.weight"], rtol=0, atol=0)
    torch.testing.assert_close(second, tensors["b.weight"].t(), rtol=0, atol=0)
    assert stream.edge_blocks[1].feature.strides is not None  # a view, not a copy
    torch.testing.assert_close(stream.feature(stream.node_blocks[2].features["bias"]), tensors["b.bias"])


def test_external_weights_are_mapped_and_never_written(tmp_path):
    proto, want = mlp(), stored(mlp())
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="m.data")
    before = (tmp_path / "m.data").read_bytes()
    tensors = read_file(tmp_path / "m.onnx").tensors
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, want[name], rtol=0, atol=0)
        tensor.zero_()
    assert (tmp_path / "m.data").read_bytes() == before


def test_weights_inside_the_file_are_found_without_parsing_them(tmp_path):
    rng = np.random.default_rng(0)
    weights = {f"w{k}": rng.standard_normal((33 + k, 32), dtype=np.float32) for k in range(4)}
    nodes = [helper.make_node("MatMul", ["x", f"w{k}"], [f"y{k}"]) for k in range(4)]
    outputs = {f"y{k}": (FLOAT, None) for k in range(4)}
    shapes = {"x": (FLOAT, [1, 33])}
    onnx.save(model(nodes[:1], shapes, {"y0": (FLOAT, None)}, weights), tmp_path / "m.onnx")
    assert len(outputs) == len(weights)
    for name, tensor in read_file(tmp_path / "m.onnx").tensors.items():
        torch.testing.assert_close(tensor, torch.from_numpy(weights[name]), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8, np.uint8, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("raw", [False, True])
def test_element_types(tmp_path, kind, raw):
    array = np.arange(-3, 9).reshape(3, 4).astype(kind)
    proto = mlp()
    tensor = numpy_helper.from_array(array, "more")
    if not raw:
        kind_number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        tensor = helper.make_tensor("more", kind_number, array.shape, array.flatten().tolist())
    proto.graph.initializer.append(tensor)
    onnx.save(proto, tmp_path / "m.onnx")
    got = wsgraph.compile(tmp_path / "m.onnx").state_dict()["more"]
    torch.testing.assert_close(got, torch.from_numpy(array), rtol=0, atol=0)


def test_a_weight_that_nothing_reads_is_in_the_ledger():
    proto = mlp()
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((3, 3), np.float32), "spare"))
    ledger = str(wsgraph.compile(proto).ledger())
    assert "unused" in ledger


def quantised():
    rng = np.random.default_rng(0)
    tensors = {
        "xs": np.float32(0.1),
        "xz": np.int8(3),
        "w": rng.integers(-127, 127, (8, 4), dtype=np.int8),
        "ws": rng.random(8, dtype=np.float32),
        "wz": rng.integers(-5, 5, 8, dtype=np.int8),
        "b": rng.integers(-9, 9, 8, dtype=np.int32),
        "bs": np.float32(0.01),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"]),
        helper.make_node("Gemm", ["xd", "wd", "bd"], ["y"], transB=1),
    ]
    return model(nodes, {"x": (FLOAT, [1, 4])}, {"y": (FLOAT, [1, 8])}, tensors), tensors


def test_quantised_weights_are_derived_from_integers_scale_and_zero_point(tmp_path):
    proto, tensors = quantised()
    stream = wsgraph.compile(proto)
    assert [n.size for n in stream.node_blocks] == [4, 8]  # scales of activations make no nodes
    edge = stream.edge_blocks[0]
    want = (tensors["w"].astype(np.float32) - tensors["wz"][:, None]) * tensors["ws"][:, None]
    torch.testing.assert_close(stream.feature(edge.feature)[..., 0], torch.from_numpy(want))
    assert set(stream.structure.derived[edge.feature.name].sources) == {"w", "ws", "wz"}
    stream.save(tmp_path / "q.wsg")
    state = wsgraph.load(tmp_path / "q.wsg").state_dict()
    assert {k: v.tolist() for k, v in state.items()} == {k: v.tolist() for k, v in tensors.items()}


def test_quantised_models_compute_what_onnxruntime_computes():
    proto, _ = quantised()
    x = np.random.default_rng(1).standard_normal((1, 4), dtype=np.float32)
    torch.testing.assert_close(by_graph(proto, x)[0], by_runtime(proto, x)[0], rtol=1e-4, atol=1e-5)


def test_masks_and_factors_are_no_parameters():
    mask = np.triu(np.full((4, 4), -1e9, np.float32), 1)
    tensors = {"mask": mask, "half": np.float32(0.5), "w": np.ones((3, 4), np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Mul", ["h", "half"], ["s"]),
        helper.make_node("Add", ["s", "mask"], ["y"]),
    ]
    stream = wsgraph.compile(model(nodes, {"x": (FLOAT, [1, 4, 3])}, {"y": (FLOAT, None)}, tensors))
    assert [n.size for n in stream.node_blocks] == [3, 4]
    assert set(stream.state_dict()) == set(tensors)


def test_an_embedding_is_a_layer():
    table = np.random.default_rng(0).standard_normal((7, 3), dtype=np.float32)
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    stream = wsgraph.compile(model([node], {"ids": (INT64, [1, 5])}, {"y": (FLOAT, None)}, {"table": table}))
    assert [n.size for n in stream.node_blocks] == [7, 3]
    assert [e.shape for e in stream.edge_blocks] == [(3, 7, 1)]


@pytest.mark.parametrize("kind", ["FLOAT8E4M3FN", "FLOAT8E5M2", "BFLOAT16"])
def test_weights_in_short_floats(tmp_path, kind):
    numbers = np.arange(-6, 6, dtype=np.float32).reshape(4, 3)
    tensor = helper.make_tensor("w", getattr(TensorProto, kind), (4, 3), numbers.ravel())
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"])
        if kind.startswith("FLOAT8")
        else helper.make_node("Cast", ["w"], ["d"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["x", "d"], ["y"], transB=1),
    ]
    half = np.float32(0.5)
    proto = model(nodes, {"x": (FLOAT, [1, 3])}, {"y": (FLOAT, [1, 4])}, {"s": half}, opset=21)
    proto.graph.initializer.append(tensor)
    stream = wsgraph.compile(proto)
    want = numbers * half if kind.startswith("FLOAT8") else numbers
    got = stream.feature(stream.edge_blocks[0].feature)
    torch.testing.assert_close(got.float().reshape(4, 3), torch.from_numpy(want), rtol=0, atol=0)
    stream.save(tmp_path / "q.wsg")
    again = wsgraph.load(tmp_path / "q.wsg").state_dict()["w"]
    assert again.float().tolist() == numbers.tolist()


def dynamically_quantised():
    """As onnxruntime's quantize_dynamic writes a linear layer after a quantised embedding."""
    rng = np.random.default_rng(0)
    tensors = {
        "table": rng.integers(0, 255, (7, 4), dtype=np.uint8),
        "ts": np.float32(0.02),
        "tz": np.uint8(120),
        "w": rng.integers(0, 255, (4, 3), dtype=np.uint8),
        "wz": np.uint8(127),
        "ws": np.float32(0.01),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("DequantizeLinear", ["rows", "ts", "tz"], ["x"]),
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        helper.make_node("MatMulInteger", ["q", "w", "qz", "wz"], ["p"]),
        helper.make_node("Cast", ["p"], ["f"], to=FLOAT),
        helper.make_node("Mul", ["qs", "ws"], ["s"]),
        helper.make_node("Mul", ["f", "s"], ["y"]),
    ]
    return model(nodes, {"ids": (INT64, [1, 5])}, {"y": (FLOAT, None)}, tensors), tensors


def test_weights_of_integer_products_are_edges(tmp_path):
    proto, tensors = dynamically_quantised()
    stream = wsgraph.compile(proto)
    stored = [e for e in stream.edge_blocks if isinstance(e.feature, ParamView)]
    edges = {e.shape: stream.feature(e.feature)[..., 0] for e in stored}
    table = (torch.from_numpy(tensors["table"]).float() - 120) * tensors["ts"]
    torch.testing.assert_close(edges[4, 7, 1], table.t(), rtol=0, atol=0)
    assert edges[3, 4, 1].tolist() == (tensors["w"].T.astype(float) - 127).tolist()
    stream.save(tmp_path / "q.wsg")
    state = wsgraph.load(tmp_path / "q.wsg").state_dict()
    assert {k: v.tolist() for k, v in state.items()} == {k: v.tolist() for k, v in tensors.items()}
    ids = np.array([[0, 3, 6, 1, 3]])
    torch.testing.assert_close(by_graph(proto, ids)[0], by_runtime(proto, ids)[0], rtol=1e-5, atol=1e-6)


def test_onnxruntime_s_own_domain_of_quantised_tensors():
    """Its quantiser puts four-bit and sixteen-bit tensors there where the opset has none."""
    proto, tensors = quantised()
    for node in proto.graph.node[:4]:
        node.domain = "com.microsoft"
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    x = np.random.default_rng(1).standard_normal((1, 4), dtype=np.float32)
    torch.testing.assert_close(by_graph(proto, x)[0], by_runtime(proto, x)[0], rtol=1e-4, atol=1e-5)
    assert set(wsgraph.compile(proto).state_dict()) == set(tensors)
