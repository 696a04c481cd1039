"""Language models with positions that the input decides, experts, and shared keys and values."""

from typing import Any

import pytest

import wsgraph
from tests.symmetry.proof import example, gap, permutations, proved, run
from wsgraph.frontends.libraries import import_library

FLOAT32 = 2e-6
"""Rotations and root mean squares are taken in float32, whatever the weights are."""


def _config(name: str, **more: Any) -> Any:
    transformers = import_library("transformers")
    sizes = {
        "vocab_size": 11, "hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 1,
        "num_attention_heads": 4, "max_position_embeddings": 16, "use_cache": False,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    return transformers, getattr(transformers, name)(**{**sizes, **more})


def test_roberta_gathers_its_token_types() -> None:
    transformers, config = _config("RobertaConfig", num_attention_heads=2)
    found = proved(transformers.RobertaForMaskedLM(config), "1x5:int64")
    heads = {("heads", 2): 1, ("query_key", 8): 2, ("value", 8): 2}
    # the head's own layer is tied to the residual stream, as both read the vocabulary's columns
    assert permutations(found) == {**heads, ("neurons", 16): 1, ("neurons", 12): 1}


@pytest.mark.parametrize("name", ["Mixtral", "Qwen3Moe"])
def test_experts(name: str) -> None:
    """The experts' hidden neurons move, each expert's for itself; which expert is which is pinned.

    Their matrix product takes no float64.
    """
    more: dict[str, Any] = {"num_local_experts": 3, "num_experts_per_tok": 2, "num_key_value_heads": 2}
    if name == "Qwen3Moe":
        more |= {"num_experts": 3, "moe_intermediate_size": 12, "head_dim": 4}
    transformers, config = _config(f"{name}Config", **more)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    x = example("1x6:int64")
    stream = wsgraph.compile(model.eval(), [x])
    before = run(model, stream.state_dict(), (x,))
    for seed in range(3):
        assert gap(before, run(model, wsgraph.permute(stream, seed).state_dict(), (x,))) < 1e-4
    found = permutations(wsgraph.symmetries(stream))
    assert found[("neurons", 12)] == 3
    assert found[("value", 4)] == 2


def test_qwen3_heads_with_normalised_queries() -> None:
    """Query heads inside a group of keys and values, although all share one normalisation."""
    transformers, config = _config("Qwen3Config", num_key_value_heads=2, head_dim=4)
    found = permutations(proved(transformers.Qwen3ForCausalLM(config), "1x5:int64", tolerance=FLOAT32))
    assert found == {("heads", 2): 3, ("value", 4): 2, ("neurons", 12): 1, ("neurons", 16): 1}
