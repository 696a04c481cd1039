"""Branches, loops and functions that constants decide are written out."""

import numpy as np
import torch
from onnx import helper

import wsgraph
from tests.onnx.models import BOOL, FLOAT, INT64, by_graph, by_runtime, graph, model

X = np.array([[1.0, -2.0, 3.0]], np.float32)
W = {"w": np.random.default_rng(0).standard_normal((3, 3), dtype=np.float32)}


def agree(proto):
    for got, want in zip(by_graph(proto, X), by_runtime(proto, X), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_a_branch_on_a_shape():
    out = {"out": (FLOAT, [1, 3])}
    branches = {
        "then_branch": graph([helper.make_node("MatMul", ["x", "w"], ["out"])], {}, out),
        "else_branch": graph([helper.make_node("Neg", ["x"], ["out"])], {}, out),
    }
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["n"]),
        helper.make_node("Equal", ["n", "three"], ["c"]),
        helper.make_node("If", ["c"], ["y"], **branches),
    ]
    stored = {**W, "one": np.array(1), "three": np.array(3)}
    proto = model(nodes, {"x": (FLOAT, [1, 3])}, {"y": (FLOAT, [1, 3])}, stored)
    agree(proto)
    assert [n.size for n in wsgraph.compile(proto).node_blocks] == [3, 3]


def test_a_loop_of_layers():
    body = graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("MatMul", ["v", "w"], ["h"]),
            helper.make_node("Tanh", ["h"], ["next"]),
            helper.make_node("Identity", ["next"], ["seen"]),
        ],
        {"i": (INT64, []), "go": (BOOL, []), "v": (FLOAT, [1, 3])},
        {"still": (BOOL, []), "next": (FLOAT, [1, 3]), "seen": (FLOAT, [1, 3])},
    )
    node = helper.make_node("Loop", ["count", "", "x"], ["y", "all"], body=body)
    outputs = {"y": (FLOAT, [1, 3]), "all": (FLOAT, [3, 1, 3])}
    agree(model([node], {"x": (FLOAT, [1, 3])}, outputs, {**W, "count": np.array(3)}))


def test_functions_of_the_model():
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    leaky = helper.make_node("LeakyRelu", ["h"], ["b"])
    reference = leaky.attribute.add(name="alpha", ref_attr_name="slope", type=1)
    assert reference.ref_attr_name == "slope"
    body = [helper.make_node("MatMul", ["a", "m"], ["h"]), leaky]
    function = helper.make_function("mine", "Layer", ["a", "m"], ["b"], body, opsets, ["slope"])
    calls = [
        helper.make_node("Layer", ["x", "w"], ["z"], domain="mine", slope=0.5),
        helper.make_node("Layer", ["z", "w"], ["y"], domain="mine", slope=0.25),
    ]
    shapes = {"x": (FLOAT, [1, 3])}, {"y": (FLOAT, [1, 3])}
    proto = model(calls, *shapes, W, opset_imports=opsets, functions=[function])
    agree(proto)
    assert [n.size for n in wsgraph.compile(proto).node_blocks] == [3, 3, 3]
