"""Well-known networks: no element lost, every bit back, and as many timestamps as counted by hand."""

import pytest
import torch

import wsgraph
from tests.networks.models import NETWORKS, random_model
from wsgraph.events import ParamView
from wsgraph.events.bits import same_bits


@pytest.fixture(scope="module", params=NETWORKS)
def compiled(request):
    """(name, model, stream); compiled once for all tests of this file."""
    model = random_model(NETWORKS[request.param])
    return request.param, model, wsgraph.compile(model)


def assert_same_weights(stream, model):
    state, expected = stream.state_dict(), model.state_dict()
    assert list(state) == list(expected)
    assert [name for name in expected if not same_bits(state[name], expected[name])] == []


def test_timestamps_are_those_counted_by_hand(compiled):
    name, _, stream = compiled
    assert stream.num_timestamps == NETWORKS[name].timestamps
    last = [node.attrs["role"] for node in stream.node_blocks if node.t == stream.num_timestamps]
    assert last == ["output"]


def test_state_dict_is_the_models_before_and_after_the_file(compiled, tmp_path):
    _, model, stream = compiled
    assert_same_weights(stream, model)
    path = tmp_path / "x.wsg"
    stream.save(path)
    loaded = wsgraph.load(path)
    assert_same_weights(loaded, model)
    assert loaded.fingerprint == stream.fingerprint
    assert loaded.text() == stream.text()
    path.unlink()  # some are large, and pytest keeps folders


def test_every_element_is_accounted_for_and_none_is_opaque(compiled):
    _, model, stream = compiled
    totals = stream.ledger().to_dict()["totals"]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert totals["parameter"] == dict.fromkeys(totals["parameter"], 0) | {
        "elements": parameters,
        "lowered": parameters,
    }
    buffers = sum(buffer.numel() for name, buffer in model.named_buffers() if name in model.state_dict())
    assert totals["buffer"].get("elements", 0) == buffers


def test_weights_are_not_copied(compiled):
    _, model, stream = compiled
    state = stream.state_dict()
    assert all(state[name].data_ptr() == tensor.data_ptr() for name, tensor in model.state_dict().items())


def test_features_read_every_element_of_every_parameter(compiled):
    """The ledger's claim, worked out anew from the views of nodes and edges."""
    _, model, stream = compiled
    views = [view for node in stream.node_blocks for view in node.features.values()]
    views += [edge.feature for edge in stream.edge_blocks if isinstance(edge.feature, ParamView)]
    read = {name: torch.zeros(p.numel(), dtype=torch.bool) for name, p in model.named_parameters()}
    for view in views:
        if (
            view.index is None and view.name in read
        ):  # marks through the view itself, without a list of places
            torch.as_strided(read[view.name], view.shape, view.strides, view.offset).fill_(True)
        elif view.name in read:
            places = view.elements(stream.structure.indices)
            read[view.name][places[places >= 0]] = True
    assert [name for name, marks in read.items() if not marks.all()] == []
