"""The baselines: called alike, for any architecture, invariant where they claim it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import wsgraph
from tests.encoders.networks import NETWORKS, compiled, doubled, mlp, stream
from wsgraph_encoders import collate
from wsgraph_encoders.baselines import (
    FlatMLP,
    NodeTransformer,
    StaticConfig,
    StaticEncoder,
    layer_statistics,
    statistic_names,
)
from wsgraph_encoders.errors import EncoderError

SMALL = StaticConfig(frequencies=6, hidden=8, edge_width=4, layers=3, heads=2)
STATIC = [StaticEncoder, NodeTransformer]


def encoder(kind: type[nn.Module], **changes: object) -> nn.Module:
    torch.manual_seed(0)
    return kind(StaticConfig(**{**{f: getattr(SMALL, f) for f in SMALL.__slots__}, **changes})).double()


def permuted_residual(weights: dict[str, Tensor], outer: Tensor, inner: Tensor) -> dict[str, Tensor]:
    """The residual network with its stream's channels and its branch's channels in another order."""
    result = dict(weights)
    for name in ("stem.weight", "stem.bias", "outer.weight", "outer.bias"):
        result[name] = result[name][outer]
    for name in ("inner.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        result[name] = result[name][inner]
    result["inner.weight"] = result["inner.weight"][:, outer]
    result["outer.weight"] = result["outer.weight"][:, inner]
    result["head.weight"] = result["head.weight"][:, outer]
    return result


@pytest.mark.parametrize("kind", STATIC)
@pytest.mark.parametrize("readout", ["output", "all"])
def test_permuted_channels_leave_the_embedding(kind, readout):
    model = encoder(kind, readout=readout)
    plain = doubled(stream("resnet"))
    outer, inner = torch.randperm(6), torch.randperm(5)
    other = plain.bind(permuted_residual(plain.state_dict(), outer, inner))
    a, b = model(collate([plain])), model(collate([other]))
    assert torch.allclose(a.embedding, b.embedding, rtol=1e-10, atol=1e-12)
    stem = next(n.id for n in plain.node_blocks if n.attrs.get("scope") == "stem")
    assert torch.allclose(a.memories[0][stem][outer], b.memories[0][stem], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", STATIC)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_permuted_hidden_neurons_permute_their_features(kind, data):
    order = torch.tensor(data.draw(st.permutations(range(6))))
    model, plain = encoder(kind), doubled(stream("mlp"))
    weights = plain.state_dict()
    weights |= {"0.weight": weights["0.weight"][order], "0.bias": weights["0.bias"][order]}
    weights["2.weight"] = weights["2.weight"][:, order]
    a, b = model(collate([plain])), model(collate([plain.bind(weights)]))
    hidden, last = plain.node_blocks[1].id, plain.node_blocks[-1].id
    assert torch.allclose(a.memories[0][hidden][order], b.memories[0][hidden], rtol=1e-10, atol=1e-12)
    assert torch.allclose(a.memories[0][last], b.memories[0][last], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", STATIC)
def test_a_mixed_batch_is_what_each_network_alone_is(kind):
    model = encoder(kind)
    streams = [doubled(stream(name)) for name in NETWORKS]
    streams.append(streams[0].bind({k: -v for k, v in streams[0].state_dict().items()}))
    together = model(collate(streams)).embedding
    assert together.shape == (len(streams), SMALL.hidden)
    for row, single in zip(together, streams, strict=True):
        assert torch.allclose(row, model(collate([single])).embedding[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", STATIC)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_floating_parameter_matters(kind, name):
    """Gradients reach all weights that the network's output depends on."""
    plain = doubled(stream(name))
    leaves = {k: v.clone().requires_grad_(v.is_floating_point()) for k, v in plain.state_dict().items()}
    encoder(kind)(collate([plain.bind(leaves)])).embedding.square().sum().backward()
    silent = [k for k, v in leaves.items() if v.requires_grad and (v.grad is None or not v.grad.any())]
    assert not silent


@pytest.mark.parametrize("kind", STATIC)
def test_every_own_parameter_gets_a_gradient(kind):
    model = encoder(kind)
    model(collate([doubled(stream(name)) for name in NETWORKS])).embedding.square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert silent == ["features.extra.weight"]  # none of these networks has such features


def test_messages_are_the_two_layer_maps_of_section_7():
    """One round by hand: φ_m of source and edge, summed, then φ_u, for one output of a 2-1 network."""
    model = encoder(StaticEncoder, layers=1)
    plain = doubled(compiled(mlp(2, 1), "1x2"))
    nodes = model(collate([plain])).memories[0]
    group, once = collate([plain]).groups[0], model.rounds[0]
    start = model.features.nodes(group)
    (edge,) = model.features.edges(group, group.program.steps[1])
    message = sum(
        once.message_out((once.message_source(start[0][0, j]) + once.message_edge(edge[0, 0, 0, j])).relu())
        for j in range(2)
    )
    own = start[1][0, 0]
    inner = (once.update_node(own) + once.update_message(message)).relu()
    assert torch.allclose(nodes[1][0], once.norm(own + once.update_out(inner)), rtol=1e-10)


def test_one_round_sees_one_layer_and_three_see_all():
    """Static message passing is local: the first layer reaches the output after as many rounds as layers."""
    plain = doubled(compiled(mlp(2, 3, 3, 1), "1x2"))
    changed = plain.bind(plain.state_dict() | {"0.weight": plain.state_dict()["0.weight"] + 1})
    for rounds, moved in ((1, False), (2, False), (3, True)):
        model = encoder(StaticEncoder, layers=rounds, readout="output")
        a, b = (model(collate([s])).embedding for s in (plain, changed))
        assert torch.equal(a, b) is not moved


def test_the_transformer_refuses_networks_that_are_too_large():
    model = encoder(NodeTransformer, max_nodes=5)
    with pytest.raises(EncoderError, match="max_nodes"):
        model(collate([doubled(stream("mlp"))]))


@pytest.mark.parametrize(
    ("field", "value"), [("layers", 0), ("hidden", 7), ("readout", "last"), ("frequencies", -1)]
)
def test_senseless_configurations(field, value):
    with pytest.raises(EncoderError, match=field):
        StaticConfig(**{"heads": 2, field: value})


def test_statistics_by_hand():
    model = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 1))
    plain = wsgraph.compile(model, "1x1")
    weights = {
        "0.weight": torch.tensor([[1.0], [2.0], [3.0], [6.0]]),
        "2.weight": torch.tensor([[0.0, 0.0, 4.0, 4.0]]),
        "2.bias": torch.tensor([5.0]),
    }
    found = dict(zip(statistic_names(), layer_statistics(plain.bind(weights)).tolist(), strict=True))
    assert found["mixing.first.mean"] == 3
    assert found["mixing.first.variance"] == 3.5
    assert found["mixing.last.mean"] == 2
    assert found["mixing.average.mean"] == 2.5
    assert found["mixing.first.median"] == 2.5
    assert found["mixing.first.maximum"] == 6
    assert found["bias.first.mean"] == found["bias.last.q75"] == 5
    assert found["parallel.first.mean"] == 0
    assert found["mixing.log1p_count"] == pytest.approx(math.log(3))


@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_have_one_width_and_are_invariant(name):
    plain = stream(name)
    statistics = layer_statistics(plain)
    assert statistics.shape == (len(statistic_names()),)
    assert torch.isfinite(statistics).all()
    if name == "resnet":
        weights = permuted_residual(plain.state_dict(), torch.randperm(6), torch.randperm(5))
        assert torch.allclose(statistics, layer_statistics(plain.bind(weights)))


def test_the_flat_mlp_reads_all_weights_of_one_architecture():
    plain = stream("resnet")
    torch.manual_seed(0)
    model = FlatMLP(plain, hidden=8)
    floats = [v for v in plain.state_dict().values() if v.is_floating_point()]
    assert model.layers[0].in_features == sum(v.numel() for v in floats)
    assert model(collate([plain, plain])).embedding.shape == (2, 8)
    with pytest.raises(EncoderError, match="fingerprint"):
        model(collate([stream("mlp")]))


def test_the_flat_mlp_is_not_invariant():
    plain = stream("mlp")
    weights = plain.state_dict()
    order = torch.arange(5, -1, -1)
    weights |= {"0.weight": weights["0.weight"][order], "0.bias": weights["0.bias"][order]}
    weights["2.weight"] = weights["2.weight"][:, order]
    torch.manual_seed(0)
    model = FlatMLP(plain, hidden=8)
    a, b = model(collate([plain, plain.bind(weights)])).embedding
    assert not torch.allclose(a, b)
