"""Damaged, foreign and malicious files: one message, exit code 1, nothing read outside the folder."""

import contextlib
import os

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import wsgraph
from tests.onnx.models import BOOL, FLOAT, INT64, graph, mlp, model
from wsgraph.errors import CheckpointError, SourceError
from wsgraph.frontends.onnx.operators import control


@pytest.fixture
def refused(run, tmp_path):
    """Compile a file by the command line; it must fail with one message, which is returned."""

    def compile_(proto, *arguments):
        path = tmp_path / "folder" / "m.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
        code, out, err = run("compile", path, *arguments)
        assert (code, out) == (1, "")
        assert "Traceback" not in err
        return " ".join(err.split())

    return compile_


X, Y = {"x": (FLOAT, [1, 3])}, {"y": (FLOAT, [1, 3])}


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x08", b"\xff" * 64, bytes(100), b"PK\x03\x04" + bytes(50)]
)
def test_no_model_at_all(refused, content):
    assert "ONNX" in refused(content)


def test_every_truncation_is_an_error(tmp_path):
    whole = mlp().SerializeToString()
    for length in range(0, len(whole), 7):
        path = tmp_path / "m.onnx"
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError):
            wsgraph.compile(path)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path):
    whole = mlp().SerializeToString()
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            damaged[at] = rng.integers(256)
        path = tmp_path / "m.onnx"
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(wsgraph.WsgraphError):  # some damage does no harm
            wsgraph.compile(path)


def test_a_cycle(refused):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    nodes.append(helper.make_node("Relu", ["b"], ["y"]))
    message = refused(model(nodes, X, Y))
    assert "m.onnx is no valid ONNX model" in message
    assert "topologically sorted, however input 'b'" in message
    assert message.count("error:") == 1


def test_a_name_that_nothing_makes(refused):
    assert "nowhere" in refused(model([helper.make_node("Add", ["x", "nowhere"], ["y"])], X, Y))


def test_an_output_that_nothing_makes(refused):
    assert refused(model([helper.make_node("Relu", ["x"], ["z"])], X, Y))


def test_an_unknown_operator_and_domain(refused):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    node = helper.make_node("Warp", ["x"], ["y"], domain="acme", name="engine")
    message = refused(model([node], X, Y, opset_imports=opsets))
    assert "Warp" in message
    assert "acme" in message


def test_an_unknown_operator_of_onnx(refused):
    assert "Warp" in refused(model([helper.make_node("Warp", ["x"], ["y"])], X, Y))


@pytest.mark.parametrize("opset", [3, 999])
def test_an_opset_that_is_not_read(refused, opset):
    assert str(opset) in refused(model([helper.make_node("Relu", ["x"], ["y"])], X, Y, opset=opset))


def test_an_ir_version_from_the_future(refused):
    proto = mlp()
    proto.ir_version = 999
    assert "999" in refused(proto)


def test_a_stored_tensor_of_the_wrong_size(refused):
    proto = mlp()
    proto.graph.initializer[0].dims[0] = 7
    assert "a.weight" in refused(proto)


def test_a_stored_tensor_of_a_negative_size(refused):
    proto = mlp()
    proto.graph.initializer[0].dims[0] = -5
    assert refused(proto)


def test_layers_that_do_not_fit(refused):
    proto = mlp()
    proto.graph.initializer[2].dims[:] = [2, 5]
    assert "MatMul" in refused(proto)


def test_a_layer_without_neurons(refused):
    proto = mlp()
    for tensor, shape in zip(proto.graph.initializer, ([0, 3], [0], [0, 2]), strict=False):
        tensor.dims[:] = shape
        tensor.raw_data = b""
    assert "no neurons" in refused(proto)


def test_text(refused):
    node = helper.make_node("StringNormalizer", ["x"], ["y"])
    proto = model([node], {"x": (TensorProto.STRING, [1])}, {"y": (TensorProto.STRING, [1])})
    assert "STRING" in refused(proto)


def test_a_model_without_parameters(refused):
    assert "no parameters" in refused(model([helper.make_node("Relu", ["x"], ["y"])], X, Y))


def test_a_branch_that_depends_on_the_input(refused):
    branches = {
        f"{name}_branch": graph([helper.make_node(op, ["x"], ["out"])], {}, {"out": (FLOAT, [1, 3])})
        for name, op in (("then", "Relu"), ("else", "Neg"))
    }
    node = helper.make_node("If", ["c"], ["y"], name="fork", **branches)
    assert "depends on the model's input" in refused(model([node], {**X, "c": (BOOL, [])}, Y))


def test_a_shape_that_depends_on_the_input(refused):
    node = helper.make_node("Reshape", ["x", "s"], ["y"], name="bend")
    message = refused(model([node], {**X, "s": (INT64, [2])}, Y))
    assert "depends on the model's input" in message


def test_inputs_that_do_not_fit(refused):
    assert "expected 1x3" in refused(mlp(), "--input", "1x4")
    assert "2 inputs given, expected 1" in refused(mlp(), "--input", "1x3", "--input", "1x3")


def external(location, offset="0", length="60"):
    proto = mlp()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=value)
    return proto


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "sub/../../secret.bin",
        "/etc/passwd",
        "..\\secret.bin",
        "C:\\secret.bin",
        "",
        ".",
        "a\0b",
    ],
)
def test_weights_outside_the_folder_are_refused(refused, tmp_path, location):
    (tmp_path / "secret.bin").write_bytes(bytes(60))
    assert "a.weight" in refused(external(location))


def test_links_that_leave_the_folder_are_refused(refused, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(60))
    (tmp_path / "folder").mkdir()
    os.symlink(tmp_path / "secret.bin", tmp_path / "folder" / "w.bin")  # noqa: PTH211  the call itself
    assert "inside the model's folder" in refused(external("w.bin"))
    os.symlink(tmp_path, tmp_path / "folder" / "up")  # noqa: PTH211  likewise
    assert "inside the model's folder" in refused(external("up/secret.bin"))


def test_links_that_lead_to_themselves_are_refused(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    os.symlink("w.bin", tmp_path / "folder" / "w.bin")  # noqa: PTH211  likewise
    assert "inside the model's folder" in refused(external("w.bin"))


@pytest.fixture
def cached(tmp_path):
    """A model and its weights as Hugging Face's cache has them: links into a folder of blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0a1b"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    weights = external("w.bin")
    (blobs / "c3d4").write_bytes(mlp().graph.initializer[0].raw_data)
    (blobs / "e5f6").write_bytes(weights.SerializeToString())
    for name, blob in (("m.onnx", "e5f6"), ("w.bin", "c3d4")):
        os.symlink(f"../../blobs/{blob}", snapshot / name)  # noqa: PTH211  likewise
    return snapshot


def test_a_link_that_the_user_names_is_followed(cached):
    torch.testing.assert_close(
        wsgraph.compile(cached / "m.onnx").state_dict(), wsgraph.compile(mlp()).state_dict(), rtol=0, atol=0
    )


def test_a_link_that_the_user_names_opens_no_other_folder(run, cached, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(60))
    (cached / "w.bin").unlink()
    os.symlink("../../secret.bin", cached / "w.bin")  # noqa: PTH211  likewise
    code, _, err = run("compile", cached / "m.onnx")
    assert code == 1
    assert "inside the model's folder" in " ".join(err.split())


def rounding(kind, place):
    """A model that rounds its input to four bits, in its own graph, a branch or a function."""
    tensor = helper.make_tensor("zero", TensorProto.INT4, [], [0])
    nodes = [
        helper.make_node("Constant", [], ["zero"], value=tensor),
        helper.make_node("Constant", [], ["scale"], value_float=0.5),
        helper.make_node(kind, ["x", "scale", "zero"] if kind == "QuantizeLinear" else ["x", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    opsets, functions = [helper.make_opsetid("", 21), helper.make_opsetid("acme", 1)], []
    if place == "function":
        functions = [helper.make_function("acme", "Round", ["x"], ["y"], nodes, opsets[:1])]
        nodes = [helper.make_node("Round", ["x"], ["y"], domain="acme")]
    elif place == "branch":
        branch = graph(nodes, {}, Y)
        nodes = [
            helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [1])),
            helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
        ]
    return helper.make_model(graph(nodes, X, Y), ir_version=10, opset_imports=opsets, functions=functions)


@pytest.mark.parametrize("place", ["graph", "branch", "function"])
@pytest.mark.parametrize("kind", ["QuantizeLinear", "CastLike"])
def test_rounding_to_four_bits_is_refused(refused, kind, place):
    message = refused(rounding(kind, place))
    assert kind in message
    assert "four bits" in message


def test_missing_and_short_weights(refused, tmp_path):
    assert "not beside the model" in refused(external("w.bin"))
    (tmp_path / "folder" / "w.bin").write_bytes(bytes(59))
    assert "has only 59" in refused(external("w.bin"))
    (tmp_path / "folder" / "w.bin").write_bytes(bytes(80))
    assert "expected 60" in refused(external("w.bin", length="64"))
    for wrong in ("-4", "x", "1e9", "9" * 30):
        assert refused(external("w.bin", offset=wrong))


def test_the_length_of_weights_may_be_left_out(refused, tmp_path):
    proto, raw = external("w.bin", offset="8"), mlp().graph.initializer[0].raw_data
    entries = proto.graph.initializer[0].external_data
    del entries[[e.key for e in entries].index("length")]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "w.bin").write_bytes(bytes(8) + raw + b"another tensor's")
    (tmp_path / "folder" / "m.onnx").write_bytes(proto.SerializeToString())
    state = wsgraph.compile(tmp_path / "folder" / "m.onnx").state_dict()
    assert state["a.weight"].numpy().tobytes() == raw
    (tmp_path / "folder" / "w.bin").write_bytes(raw)
    assert "has only 60" in refused(proto)


def test_a_model_in_memory_has_no_folder():
    with pytest.raises(CheckpointError, match="no folder"):
        wsgraph.compile(external("w.bin"))


def test_a_model_too_large_for_one_message(tmp_path):
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole: takes no room on the disk
    with pytest.raises(CheckpointError, match="2 GiB"):
        wsgraph.compile(path)


def test_functions_that_call_themselves(refused):
    domain = helper.make_opsetid("acme", 1)
    opsets = [helper.make_opsetid("", 17), domain]
    again = helper.make_node("Again", ["a"], ["b"], domain="acme")
    function = helper.make_function("acme", "Again", ["a"], ["b"], [again], opsets)
    call = helper.make_node("Again", ["x"], ["y"], domain="acme")
    assert refused(model([call], X, Y, opset_imports=opsets, functions=[function]))


def test_an_endless_loop(refused, monkeypatch):
    monkeypatch.setattr(control, "_MOST_STEPS", 20)
    body = graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Relu", ["v"], ["w"])],
        {"i": (INT64, []), "c": (BOOL, []), "v": (FLOAT, [1, 3])},
        {"d": (BOOL, []), "w": (FLOAT, [1, 3])},
    )
    stored = {"go": np.array(True)}
    assert "steps" in refused(
        model([helper.make_node("Loop", ["", "go", "x"], ["y"], body=body)], X, Y, stored)
    )


def test_checkers_agree_that_the_models_above_start_out_valid():
    onnx.checker.check_model(mlp())
