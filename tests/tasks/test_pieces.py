"""Every model once an epoch, one architecture a piece, the same order whenever the epoch is run."""

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import wsgraph
from wsgraph_encoders.tasks.pieces import PieceSampler, room_for

ZOOS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1)


def sampler(zoo, rank=0, world=1, seed=0, epoch=0):
    models = {name: [f"{name}{i}" for i in range(count)] for name, (count, _) in zoo.items()}
    made = PieceSampler(models, {name: room for name, (_, room) in zoo.items()}, seed, rank, world)
    made.set_epoch(epoch)
    return made


@given(ZOOS, st.integers(0, 3))
def test_an_epoch_has_every_model_once_in_pieces_of_one_architecture(zoo, epoch):
    pieces = list(sampler(zoo, epoch=epoch))
    assert len(pieces) == len(sampler(zoo))
    assert sorted(model for piece in pieces for model in piece) == sorted(
        f"{name}{i}" for name, (count, _) in zoo.items() for i in range(count)
    )
    for piece in pieces:
        (name,) = {model[0] for model in piece}
        assert 1 <= len(piece) <= zoo[name][1]


@given(ZOOS, st.integers(1, 5))
def test_processes_share_an_epoch(zoo, world):
    parts = [list(sampler(zoo, rank, world)) for rank in range(world)]
    assert len({len(part) for part in parts}) == 1  # a process that has fewer would stop all others
    together = {tuple(piece) for part in parts for piece in part}
    assert together == {tuple(piece) for piece in sampler(zoo)}


def test_the_order_depends_on_seed_and_epoch_alone():
    zoo = {"a": (9, 1), "b": (9, 1)}
    orders = {
        (seed, epoch): list(sampler(zoo, seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)
    }
    again = sampler(zoo, seed=1, epoch=1)
    assert list(again) == list(again) == orders[1, 1]
    assert len({str(order) for order in orders.values()}) == 4


def test_large_networks_come_in_small_pieces_for_the_baselines_only():
    small = wsgraph.compile(nn.Linear(4, 4), "1x4").structure
    large = wsgraph.compile(nn.Linear(1200, 1000), "1x1200").structure
    assert [room_for(method, small, 16) for method in ("dng", "static", "transformer")] == [16, 16, 16]
    assert [room_for(method, large, 16) for method in ("dng", "static", "transformer")] == [16, 1, 1]
