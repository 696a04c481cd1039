"""Duplicates, leaks and splits."""

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import wsgraph
from tests.zoo import layouts
from wsgraph.errors import ZooError
from wsgraph.zoo import ModelRecord, ZooWriter, leaking_runs, open_zoo, split_zoo, summarise
from wsgraph.zoo.duplicates import permutation_keys
from wsgraph.zoo.models.cnn import ParkCNN
from wsgraph.zoo.models.vit import SimpleViT


def keys(structure, states):
    return permutation_keys(structure, {name: torch.stack([s[name] for s in states]) for name in states[0]})


def mlp_states():
    """An MLP, its state dict, and one with its hidden units in another order."""
    model = layouts.seeded(
        0, lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    )
    state = model.state_dict()
    first, second = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([1, 3, 0, 2])
    permuted = dict(state)
    permuted["0.weight"], permuted["0.bias"] = state["0.weight"][first], state["0.bias"][first]
    permuted["2.weight"], permuted["2.bias"] = state["2.weight"][second][:, first], state["2.bias"][second]
    permuted["4.weight"] = state["4.weight"][:, second]
    return model, state, permuted


def test_a_permuted_mlp_has_the_same_key_and_function():
    model, state, permuted = mlp_states()
    x = torch.randn(4, 3)
    torch.testing.assert_close(torch.func.functional_call(model, permuted, (x,)), model(x))
    structure = wsgraph.compile(model, inputs="1x3").structure
    same = keys(structure, [state, permuted])
    assert same[0] == same[1]


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"])
def test_a_half_permuted_or_changed_mlp_has_another_key(name):
    model, state, permuted = mlp_states()
    structure = wsgraph.compile(model, inputs="1x3").structure
    swapped = state | {name: state[name].roll(1, 0)}
    changed = state | {name: state[name].clone()}
    changed[name].view(-1)[0] = torch.nextafter(changed[name].view(-1)[0], torch.tensor(9.0))
    values = keys(structure, [state, permuted, swapped, changed]).tolist()
    assert values[0] == values[1]
    assert len({*values}) == 3


def test_inputs_and_outputs_may_not_be_permuted():
    model, state, _ = mlp_states()
    structure = wsgraph.compile(model, inputs="1x3").structure
    inputs = state | {"0.weight": state["0.weight"].flip(1)}
    outputs = state | {"4.weight": state["4.weight"].flip(0), "4.bias": state["4.bias"].flip(0)}
    assert len({*keys(structure, [state, inputs, outputs]).tolist()}) == 3


def test_permuted_channels_across_a_residual():
    config = {"channels": [1, 4, 4, 4], "kernel_size": [3] * 3, "stride": [1] * 3, "padding": [1] * 3}
    model = layouts.seeded(
        0, lambda: ParkCNN(**config, activations=["relu"] * 3, residual=[-1, -1, 0], n_classes=3)
    )
    state = model.state_dict()
    structure = wsgraph.compile(model, inputs="1x1x8x8").structure
    order = torch.tensor([2, 0, 3, 1])
    permuted = dict(state)  # layers 0 and 2 are tied by the residual, layer 1 is free
    for layer in (0, 2):
        permuted[f"layers.{layer}.weight"] = state[f"layers.{layer}.weight"][order]
        permuted[f"layers.{layer}.bias"] = state[f"layers.{layer}.bias"][order]
    permuted["layers.1.weight"] = state["layers.1.weight"][:, order]
    permuted["fc.weight"] = state["fc.weight"][:, order]
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(torch.func.functional_call(model, permuted, (x,)), model(x))
    broken = permuted | {"fc.weight": state["fc.weight"]}
    values = keys(structure, [state, permuted, broken]).tolist()
    assert values[0] == values[1] != values[2]


def test_permuted_heads_of_a_vit():
    size = {"image_size": 8, "patch_size": 4, "num_classes": 3, "dim": 8, "depth": 1, "heads": 2}
    model = layouts.seeded(0, lambda: SimpleViT(**size, mlp_dim=8, channels=1, dim_head=4))
    state = model.state_dict()
    structure = wsgraph.compile(model, inputs="1x1x8x8").structure
    qkv, out = "transformer.layers.0.0.to_qkv.weight", "transformer.layers.0.0.to_out.weight"
    permuted = dict(state)
    permuted[qkv] = state[qkv].view(3, 2, 4, 8).flip(1).reshape(24, 8)
    permuted[out] = state[out].view(8, 2, 4).flip(1).reshape(8, 8)
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(torch.func.functional_call(model, permuted, (x,)), model(x))
    values = keys(structure, [state, permuted, state | {qkv: permuted[qkv]}]).tolist()
    assert values[0] == values[1] != values[2]


@pytest.fixture
def zoo(tmp_path):
    """Twelve models, three a run; m1 equals m7, and m2 equals m10 but for the order of its neurons."""
    model, state, permuted = mlp_states()
    stream = wsgraph.compile(model, inputs="1x3")
    states = [{name: value + i + 1 for name, value in state.items()} for i in range(12)]
    states[7], states[2], states[10] = states[1], state, permuted
    with ZooWriter(tmp_path / "zoo") as writer:
        for i, weights in enumerate(states):
            writer.add(ModelRecord(f"m{i}", "s", f"run{i // 3}", None, {"x": i}), stream.structure, weights)
        writer.fail("m99", "there", "broken")
    return tmp_path / "zoo"


def test_the_summary_lists_duplicates_leaks_and_failures(zoo):
    split_zoo(zoo, (0.5, 0.25, 0.25))
    path = zoo / "models.parquet"
    table = pl.read_parquet(path, memory_map=False)
    wrong = {"m0": "train", "m1": "test", "m2": "train", "m7": "train", "m10": "test"}
    split = [wrong.get(name, old) for name, old in table.select("id", "split").rows()]
    table.with_columns(pl.Series("split", split)).write_parquet(path)
    report = summarise(open_zoo(zoo))
    assert report["duplicates"]["exact"] == [["m1", "m7"]]
    assert ["m1", "m7"] in report["duplicates"]["across_splits"]
    assert report["duplicates"]["up_to_permutation"] == [["m2", "m10"]]
    assert report["leaking_runs"]["run0"] == ["test", "train"]
    assert report["failures"] == [{"id": "m99", "source": "there", "reason": "broken"}]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.tuples(*[st.floats(0.05, 1)] * 3))
def test_splits_keep_runs_and_equal_models_together(zoo_of_runs, seed, ratio):
    counts = split_zoo(zoo_of_runs, ratio, seed)
    models = open_zoo(zoo_of_runs).models
    assert leaking_runs(models) == {}
    splits = dict(models.select("id", "split").iter_rows())
    assert splits["m1"] == splits["m7"]
    for name, share in zip(("train", "val", "test"), ratio, strict=True):
        assert abs(counts[name] - 12 * share / sum(ratio)) <= 6  # the largest group that stays together
    assert sum(counts.values()) == 12


@pytest.fixture(scope="module")
def zoo_of_runs(tmp_path_factory):
    model, state, _ = mlp_states()
    stream = wsgraph.compile(model, inputs="1x3")
    path = tmp_path_factory.mktemp("runs") / "zoo"
    with ZooWriter(path) as writer:
        for i in range(12):
            weights = {name: value + (1 if i == 7 else i) for name, value in state.items()}
            writer.add(ModelRecord(f"m{i}", "s", f"run{i // 3}"), stream.structure, weights)
    return path


def test_a_split_depends_on_the_seed_only(zoo_of_runs):
    def split(seed):
        split_zoo(zoo_of_runs, (0.5, 0.2, 0.3), seed)
        return open_zoo(zoo_of_runs).models["split"].to_list()

    assert split(3) == split(3)
    assert len({tuple(split(seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize("ratio", [(1,), (0, 0, 0), (-1, 1, 1), (float("inf"), 1, 1)])
def test_a_ratio_that_is_none(zoo_of_runs, ratio):
    with pytest.raises(ZooError, match="ratio"):
        split_zoo(zoo_of_runs, ratio)
