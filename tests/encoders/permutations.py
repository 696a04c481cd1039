"""Permutations of the neurons of the networks in ``networks``, worked out by hand."""

from collections.abc import Callable

import torch
from torch import Tensor

State = dict[str, Tensor]
Permutations = dict[str, Tensor]
"""By a block's scope in the module tree."""


def _rows(state: State, perm: Tensor, *names: str) -> None:
    for name in names:
        state[name] = state[name][perm]


def _columns(state: State, perm: Tensor, *names: str) -> None:
    for name in names:
        state[name] = state[name][:, perm]


def permute_mlp(state: State) -> Permutations:
    first, second = torch.randperm(6), torch.randperm(5)
    _rows(state, first, "0.weight", "0.bias")
    _columns(state, first, "2.weight")
    _rows(state, second, "2.weight", "2.bias")
    _columns(state, second, "4.weight")
    return {"0": first, "2": second}


def permute_cnn(state: State) -> Permutations:
    # Inside each of the two groups of the second convolution, whose weight has a group's inputs only.
    first, second = ([torch.randperm(4), torch.randperm(4)] for _ in range(2))
    whole_first, whole_second = (torch.cat([a, b + 4]) for a, b in (first, second))
    _rows(
        state,
        whole_first,
        "0.weight",
        "0.bias",
        *(f"1.{n}" for n in ("weight", "bias", "running_mean", "running_var")),
    )
    grouped = state["3.weight"]
    state["3.weight"] = torch.cat([grouped[:4, first[0]], grouped[4:, first[1]]])
    _rows(state, whole_second, "3.weight", "3.bias", "5.weight")
    state["7.weight"] = state["7.weight"].unflatten(1, (8, 4))[:, whole_second].flatten(1)
    return {"0": whole_first, "1": whole_first, "3": whole_second, "5": whole_second}


def permute_resnet(state: State) -> Permutations:
    stem, inner = torch.randperm(6), torch.randperm(5)
    _rows(state, stem, "stem.weight", "stem.bias", "outer.weight", "outer.bias")
    _columns(state, stem, "inner.weight", "head.weight")
    _rows(
        state,
        inner,
        "inner.weight",
        *(f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var")),
    )
    _columns(state, inner, "outer.weight")
    return {"stem": stem, "inner": inner, "norm": inner, "outer": stem}


def permute_densenet(state: State) -> Permutations:
    stem, inner, outer = torch.randperm(4), torch.randperm(5), torch.randperm(3)
    two = torch.cat([stem, inner + 4])
    _rows(state, stem, "stem.weight", "stem.bias")
    _columns(state, stem, "inner.weight")
    _rows(state, inner, "inner.weight", "inner.bias")
    _columns(state, two, "outer.weight")
    _rows(state, outer, "outer.weight", "outer.bias")
    _columns(state, torch.cat([two, outer + 9]), "head.weight")
    return {"stem": stem, "inner": inner, "outer": outer}


def permute_vit(state: State) -> Permutations:
    width, unit, head = torch.randperm(6), torch.randperm(7), torch.randperm(2)
    # Whole heads, and dimensions inside each: q with k, v with the output projection.
    keys, values = (torch.cat([torch.randperm(3) + 3 * int(h) for h in head]) for _ in range(2))
    _rows(state, width, "embed.weight", "embed.bias", "out.weight", "out.bias", "down.weight", "down.bias")
    _rows(state, width, *(f"norm{i}.{n}" for i in (1, 2) for n in ("weight", "bias")))
    _columns(state, width, "qkv.weight", "up.weight", "head.weight")
    _rows(state, torch.cat([keys, keys + 6, values + 12]), "qkv.weight")
    _columns(state, values, "out.weight")
    _rows(state, unit, "up.weight", "up.bias")
    _columns(state, unit, "down.weight")
    return {"embed": width, "norm1": width, "up": unit, "norm2": width, "down": width}


PERMUTATIONS: dict[str, Callable[[State], Permutations]] = {
    "mlp": permute_mlp,
    "cnn": permute_cnn,
    "resnet": permute_resnet,
    "densenet": permute_densenet,
    "vit": permute_vit,
}
