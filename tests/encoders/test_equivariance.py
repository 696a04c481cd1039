"""Permuting neurons permutes memories and leaves the embedding as it is (App. C, D)."""

from typing import Any

import pytest
import torch
from torch.func import functional_call

import wsgraph
from tests.encoders.networks import NETWORKS, doubled, stream
from tests.encoders.permutations import PERMUTATIONS
from wsgraph_encoders import DNGConfig, DNGEncoder, collate

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "passes": {"passes": 2},
    "embeddings": {"activation_embeddings": True, "position_embeddings": True},
    "mean": {"readout": "mean"},
    "attention": {"readout": "attention"},
    "reference": {"message": "reference"},
    "dropout": {"dropout": 0.5},
}


def permuted(name: str) -> tuple[wsgraph.EventStream, wsgraph.EventStream, dict[str, torch.Tensor]]:
    """A network in float64, the same network with its neurons in another order, and the order by scope."""
    original = doubled(stream(name))
    state = dict(original.state_dict())
    torch.manual_seed(5)
    order = PERMUTATIONS[name](state)
    return original, original.bind(state), order


@pytest.mark.parametrize("name", NETWORKS)
def test_the_permutations_leave_the_function_as_it_is(name: str) -> None:
    original, other, order = permuted(name)
    build, shape = NETWORKS[name]
    model = build().double().eval()
    x = torch.randn([int(n) for n in shape.split("x")], dtype=torch.float64)
    before, after = (functional_call(model, dict(s.state_dict()), x) for s in (original, other))
    torch.testing.assert_close(before, after, rtol=1e-10, atol=1e-10)
    assert any(not torch.equal(perm, torch.arange(len(perm))) for perm in order.values())


@pytest.mark.parametrize("parameters", ["per_step", "per_kind"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_equivariance(name: str, option: str, parameters: str) -> None:
    original, other, order = permuted(name)
    config = DNGConfig(hidden=8, frequencies=6, edge_width=4, **OPTIONS[option])
    config = config if parameters == "per_kind" else config.for_stream(original)
    torch.manual_seed(1)
    encoder = DNGEncoder(config).double().eval()
    before, after = (encoder(collate([s])) for s in (original, other))
    torch.testing.assert_close(before.embedding, after.embedding, rtol=1e-10, atol=1e-12)
    checked = 0
    for node in original.node_blocks:
        perm = order.get(str(node.attrs.get("scope")))
        if perm is not None and node.attrs.get("role") == "hidden" and len(perm) == node.size:
            moved = before.memories[0][node.id][perm]
            torch.testing.assert_close(moved, after.memories[0][node.id], rtol=1e-10, atol=1e-12)
            assert not torch.equal(moved, before.memories[0][node.id])
            checked += 1
    assert checked >= 2


@pytest.mark.parametrize("option", ["plain", "passes", "attention"])
def test_a_mixed_batch_gives_what_each_network_alone_gives(option: str) -> None:
    torch.manual_seed(2)
    encoder = DNGEncoder(DNGConfig(hidden=8, frequencies=6, edge_width=4, **OPTIONS[option])).double().eval()
    streams = [doubled(stream(name)) for name in NETWORKS]
    other = {
        name: tensor * 1.5 for name, tensor in streams[1].state_dict().items() if tensor.is_floating_point()
    }
    streams.append(streams[1].bind({**streams[1].state_dict(), **other}))
    together = encoder(collate(streams))
    for position, alone in enumerate(streams):
        single = encoder(collate([alone]))
        torch.testing.assert_close(together.embedding[position], single.embedding[0], rtol=1e-10, atol=1e-12)
        assert together.memories[position].keys() == single.memories[0].keys()
        for block, memory in single.memories[0].items():
            torch.testing.assert_close(together.memories[position][block], memory, rtol=1e-10, atol=1e-12)
