"""A structure that contradicts itself is refused, with a message that says where."""

import math
from dataclasses import replace

import pytest
import torch

from tests.events_samples import SAMPLES, dense, grouped, mlp, residual, vector, whole
from wsgraph.errors import StructureError
from wsgraph.events import Derived, Learned, NodeBlock, NodeSlice, NodeView, ParamView, Pattern, TensorSpec


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_valid(name):
    SAMPLES[name]().structure.validate()


def with_node(structure, number, **changes):
    nodes = list(structure.nodes)
    nodes[number] = replace(nodes[number], **changes)
    return replace(structure, nodes=tuple(nodes))


def with_edge(structure, number, **changes):
    edges = list(structure.edges)
    edges[number] = replace(edges[number], **changes)
    return replace(structure, edges=tuple(edges))


def with_tensor(structure, name, /, **changes):
    changed = replace(structure.tensors[name], **changes)
    return replace(structure, tensors={**structure.tensors, name: changed})


NODE_FAULTS = {
    "used twice": {"id": 0},
    "expected 0 to": {"size": 1 << 40},
    "rise by at most 1": {"t": 3},
    r"shape \[31\], expected \[32\]": {"features": {"bias": vector("net.0.bias", 31)}},
    "reaches element 32 of 32": {"features": {"bias": vector("net.0.bias", 32, 1)}},
    "no tensor 'gone'": {"features": {"bias": vector("gone", 32)}},
    "do not fit the shape": {"features": {"bias": ParamView("net.0.bias", (32,), (-1,), 31)}},
    "no index tensor 'gone'": {"features": {"bias": ParamView("net.0.bias", (32,), None, 0, "gone")}},
    "one excludes the other": {"features": {"bias": ParamView("net.0.bias", (32,), (1,), 0, "gone")}},
    "no plain finite value": {"attrs": {"slope": math.inf}},
}


@pytest.mark.parametrize("message", NODE_FAULTS)
def test_faulty_node_blocks(message):
    with pytest.raises(StructureError, match=message):
        with_node(mlp().structure, 1, **NODE_FAULTS[message]).validate()


EDGE_FAULTS = {
    "id 0 is used twice": {"id": 0},
    "destination, node block 9, does not exist": {"dst": 9},
    "source, node block 9, does not exist": {"src": whole(9, 32)},
    "a cycle": {"src": whole(2, 32)},
    "a wrong order": {"src": whole(3, 1)},
    "timestamp 1, expected 2": {"t": 1},
    "slice 0:33 of node block 1": {"src": whole(1, 33)},
    "size 31, its parts have 32 nodes": {"src": NodeView((NodeSlice(1, 0, 32),), 31)},
    "no index tensor 'gone'": {"src": NodeView((NodeSlice(1, 0, 32),), 2, "gone")},
    "does not fit the pattern dense": {"shape": (32, 31, 1)},
    "does not fit the pattern one_to_one": {"pattern": Pattern.ONE_TO_ONE},
    "does not fit the pattern grouped": {"pattern": Pattern.GROUPED, "shape": (3, 32, 32, 1)},
    "impossible shape": {"pattern": Pattern.INDEXED, "shape": (-1, 1)},
    "needs a COO tensor": {"pattern": Pattern.INDEXED, "shape": (4, 1)},
    "only an indexed pattern": {"coo": "coo"},
    "needs a tag": {"feature": Learned("residual", math.nan)},
    r"shape \[32, 16, 1\], expected \[32, 32, 1\]": {"feature": dense("net.2.weight", 32, 16)},
    "reaches element 1031 of 1024": {"feature": dense("net.2.weight", 32, 32, offset=8)},
}


@pytest.mark.parametrize("message", EDGE_FAULTS)
def test_faulty_edge_blocks(message):
    with pytest.raises(StructureError, match=message):
        with_edge(mlp().structure, 1, **EDGE_FAULTS[message]).validate()


@pytest.mark.parametrize(
    ("message", "name", "changes"),
    [
        ("specification is named", "table", {"name": "other"}),
        ("no dtype of torch", "table", {"dtype": "nn"}),
        ("impossible shape", "table", {"shape": (1 << 40, 1 << 40)}),
        ("no tensor 'gone'", "head.weight", {"tied_to": "gone"}),
        ("cannot be tied", "head.weight", {"tied_to": "table"}),
        ("cannot be tied", "a.weight", {"tied_to": "head.weight"}),
        ("no index tensor 'some'", "table", {"unread": "some"}),
    ],
)
def test_faulty_tensor_specifications(message, name, changes):
    with pytest.raises(StructureError, match=message):
        with_tensor(residual().structure, name, **changes).validate()


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        ("coo", torch.tensor([[0, 1, 10, 3], [0, 0, 1, 2]]), "source positions 0 to 10, expected 0 to 9"),
        ("coo", torch.tensor([[0, 1, 9, 3], [0, -1, 1, 2]]), "destination positions -1 to 2"),
        ("coo", torch.zeros(2, 3, dtype=torch.int64), r"expected \[2, 4\]"),
        ("coo", torch.zeros(2, 4), "float32"),
        ("values", torch.tensor([[4], [0], [-2], [2]]), "holds -2 to 4, expected -1 to 4"),
        ("gather", torch.tensor([6, 0]), "holds 0 to 6, expected 0 to 5"),
        ("unread", torch.tensor([5]), "holds 5 to 5, expected 0 to 4"),
    ],
)
def test_faulty_index_tensors(index, value, message):
    structure = grouped().structure
    with pytest.raises(StructureError, match=message):
        replace(structure, indices={**structure.indices, index: value}).validate()


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        (Derived("b.g", (4, 4), (), "[]"), "taken or wrong"),
        (Derived("__wsgraph__.derived.0", (4, 4), ("gone",), "[]"), "no tensor 'gone'"),
        (Derived("__wsgraph__.derived.0", (4, 4), ("b.g",), "[]"), "expected a list of lines"),
    ],
)
def test_faulty_derived_tensors(derived, message):
    structure = residual().structure
    with pytest.raises(StructureError, match=message):
        replace(structure, derived={derived.name: derived}).validate()


def test_a_reserved_name_is_refused():
    structure = mlp().structure
    name = "__wsgraph__.x"
    spec = TensorSpec(name, (), "float32", "buffer")
    with pytest.raises(StructureError, match="__wsgraph__"):
        replace(structure, tensors={**structure.tensors, name: spec}).validate()


def test_timestamps_start_at_zero():
    structure = replace(mlp().structure, nodes=(NodeBlock(0, 2, 1),), edges=())
    with pytest.raises(StructureError, match="start at 0"):
        structure.validate()
