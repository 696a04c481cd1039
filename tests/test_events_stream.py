"""The stream's own methods: features, binding, fingerprint, text."""

from dataclasses import replace

import pytest
import torch

from tests.events_samples import SAMPLES, grouped, mlp, residual
from wsgraph.errors import CheckpointError, StructureError
from wsgraph.events import EventStream


def test_counts_and_repr():
    stream = mlp()
    assert (stream.num_nodes, stream.num_edges, stream.num_timestamps) == (67, 1120, 3)
    assert repr(stream) == (
        "EventStream(4 node blocks with 67 nodes, 3 edge blocks with 1,120 edges, 3 timestamps, with weights)"
    )


def test_text_of_a_residual_block():
    assert residual().text() == (
        "t=0\n"
        "  +V  n0  input  3\n"
        "t=1\n"
        '  +V  n1  hidden  4  "stem"\n'
        "  +E  e0  n0 -> n1  dense 4x3x1  stem.weight[0; 4x3x1; 3,1,1]\n"
        '  +V  n2  hidden  4  "bn"  bias=bn.bias[0; 4; 1]  running_mean=bn.running_mean[0; 4; 1]'
        "  running_var=bn.running_var[0; 4; 1]  activation=relu\n"
        "  +E  e1  n1 -> n2  one_to_one 4x1  bn.weight[0; 4x1; 1,0]\n"
        "t=2\n"
        '  +V  n3  hidden  4  "a"\n'
        "  +E  e2  n2 -> n3  dense 4x4x1  a.weight[0; 4x4x1; 4,1,1]\n"
        "  -V  n0\n"
        "  -V  n1\n"
        "  -E  e0\n"
        "  -E  e1\n"
        "t=3\n"
        "  +V  n1  again\n"
        '  +V  n4  hidden  4  "b"\n'
        "  +E  e3  n3 -> n4  dense 4x4x1  __wsgraph__.derived.0[0; 4x4x1; 4,1,1]\n"
        "  +E  e4  n1 -> n4  one_to_one 4x1  learned residual x2\n"
        "  -V  n2\n"
        "  -E  e2\n"
        "t=4\n"
        '  +V  n5  output  4  "head"\n'
        "  +E  e5  n4 -> n5  dense 4x4x1  head.weight[0; 4x4x1; 4,1,1]\n"
        "  -V  n1\n"
        "  -V  n3\n"
        "  -E  e3\n"
        "  -E  e4\n"
    )


def test_text_of_views():
    text = grouped().text()
    assert "n0+n1 -> n2  indexed 4x1  coo=coo  sparse[values; 4x1]" in text
    assert "{n1}@gather -> n3" in text
    assert "widths=1,2" in text


def test_features_are_views_of_the_weights():
    stream = mlp()
    weight = stream.state_dict()["net.2.weight"]
    feature = stream.feature(stream.edge_blocks[1].feature)
    assert feature.data_ptr() == weight.data_ptr()
    assert torch.equal(feature.squeeze(-1), weight)


def test_indexed_features_have_structural_zeros():
    stream = grouped()
    sparse = stream.state_dict()["sparse"]
    expected = torch.stack([sparse[4], sparse[0], torch.zeros(()), sparse[2]]).unsqueeze(-1)
    assert torch.equal(stream.feature(stream.edge_blocks[1].feature), expected)


def test_features_of_weights_without_contiguous_layout():
    stream = mlp()
    weights = stream.state_dict()
    turned = stream.bind({name: tensor.t().contiguous().t() for name, tensor in weights.items()})
    view = stream.edge_blocks[1].feature
    assert torch.equal(turned.feature(view), stream.feature(view))


def test_bind_keeps_the_very_tensors():
    stream = residual()
    weights = {name: tensor.clone() for name, tensor in stream.state_dict().items()}
    bound = stream.bind(weights)
    assert all(tensor is weights[name] for name, tensor in bound.state_dict().items())
    assert bound.structure is stream.structure
    del weights["head.weight"]
    assert stream.bind(weights).state_dict()["head.weight"] is weights["a.weight"]


def test_bind_names_all_that_does_not_fit():
    stream = residual()
    weights = stream.state_dict()
    weights["more"] = weights.pop("table")
    weights["b.g"] = torch.zeros(4)
    weights["head.weight"] = weights["head.weight"] + 1
    with pytest.raises(CheckpointError) as caught:
        stream.bind(weights)
    assert caught.value.message == (
        "the weights do not fit the structure's 11 tensors: 1 missing: table; 1 unexpected: more; "
        "1 of another shape: b.g [4] for [4, 1]; 1 tied but unequal: head.weight and a.weight"
    )


def test_unequal_ties_without_numbers_are_still_equal():
    stream = residual()
    weights = {
        name: torch.full_like(tensor, torch.nan)
        for name, tensor in stream.state_dict().items()
        if tensor.is_floating_point()
    } | {"bn.num_batches_tracked": torch.tensor(0)}
    assert stream.bind(weights).nonfinite()["a.weight"] == 16


def test_binding_shares_the_structure():
    """So that its fingerprint, and whatever else is worked out of it, is worked out once a zoo."""
    stream = mlp()
    weights = stream.state_dict()
    assert stream.bind(weights).structure is stream.structure


def test_nonfinite_weights_are_counted():
    weights = mlp().state_dict()
    weights["net.2.weight"][3, :5] = torch.nan
    weights["net.4.bias"][0] = -torch.inf
    stream = mlp().bind({name: tensor.bfloat16() for name, tensor in weights.items()})
    assert stream.nonfinite() == {"net.2.weight": 5, "net.4.bias": 1}
    assert residual().nonfinite() == {}


def test_fingerprint_is_the_architecture_only():
    stream = residual()
    structure = stream.structure
    other = {name: replace(spec, dtype="float16") for name, spec in structure.tensors.items()}
    same = replace(structure, tensors=other, meta={"origin": "elsewhere", "notes": ("a", "b")})
    assert same.fingerprint == stream.fingerprint
    for changes in (
        {"edges": structure.edges[:-1]},
        {"tensors": structure.tensors | {"table": replace(structure.tensors["table"], unread=None)}},
    ):
        assert replace(structure, **changes).fingerprint != stream.fingerprint
    indexed = grouped().structure
    turned = {**indexed.indices, "gather": torch.tensor([0, 5])}
    assert replace(indexed, indices=turned).fingerprint != indexed.fingerprint
    assert len({SAMPLES[name]().fingerprint for name in SAMPLES}) == len(SAMPLES)


def test_no_weights_and_no_such_timestamp():
    stream = EventStream(mlp().structure)
    assert stream.weights is None
    with pytest.raises(StructureError, match=r"compiled from siren\.pt"):
        stream.nonfinite()
    for t in (-1, 4):
        with pytest.raises(StructureError, match="expected 0 to 3"):
            stream.snapshot(t)
