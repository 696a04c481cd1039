"""A state dict that is a plain chain of linear layers, read as an MLP or a SIREN."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgraph.frontends.skeleton import skeleton

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Chain", "chain_of"]

_COORDINATES = 3
"""A network of this many inputs or fewer takes coordinates: an implicit neural representation."""
_OMEGA = 30.0
"""The frequency that SIRENs scale their layers by (Sitzmann et al. 2020)."""


class Chain(nn.Module):
    """Linear layers under their names in the state dict, an activation between each two.

    Args:
        tensors: the state dict, ``[n_out, n_in]`` weights and ``[n_out]`` biases.
        names: dotted names of the layers, in order.
        sine: whether the activation is ``sin(30 x)``, else relu.
    """

    def __init__(self, tensors: Mapping[str, Tensor], names: tuple[str, ...], *, sine: bool) -> None:
        super().__init__()
        self.names = names
        self.sine = sine
        for name in names:
            n_out, n_in = tensors[f"{name}.weight"].shape
            *path, leaf = name.split(".")
            owner: nn.Module = self
            for part in path:
                if part not in dict(owner.named_children()):
                    owner.add_module(part, nn.Module())
                owner = owner.get_submodule(part)
            owner.add_module(leaf, nn.Linear(n_in, n_out, bias=f"{name}.bias" in tensors))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, n_in]`` to ``[batch, n_out]``; no activation after the last layer."""
        for name in self.names[:-1]:
            x = self.get_submodule(name)(x)
            x = torch.sin(_OMEGA * x) if self.sine else functional.relu(x)
        out: Tensor = self.get_submodule(self.names[-1])(x)
        return out


def chain_of(tensors: Mapping[str, Tensor]) -> tuple[Chain, str] | None:
    """The chain that the tensors are, with a note of what is assumed; None if they are no chain."""
    for names in _orders(tensors):
        if _fits(tensors, names):
            first = tensors[f"{names[0]}.weight"]
            sine = first.shape[1] <= _COORDINATES
            with skeleton():
                chain = Chain(tensors, names, sine=sine)
            activation = f"sin({_OMEGA:g} x), for there are {first.shape[1]} inputs" if sine else "relu"
            kind = "SIREN" if sine else "MLP"
            sizes = "-".join(map(str, [first.shape[1], *(len(tensors[f"{n}.weight"]) for n in names)]))
            return chain, f"read as the {kind} {sizes}; activation assumed to be {activation}"
    return None


def _orders(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, ...]]:
    """Orders that the layers may have: by number, as safetensors sorts names as text; else as saved."""
    names = tuple(dict.fromkeys(name.rpartition(".")[0] for name in tensors))
    if len({re.sub(r"\d+", "#", name) for name in names}) == 1:
        yield tuple(sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)]))
    yield names


def _fits(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> bool:
    """Whether every tensor is a layer's weight or bias, and each layer takes what the one before gives."""
    weights = [tensors.get(f"{name}.weight") for name in names]
    if not names or any(not name for name in names) or any(w is None or w.ndim != 2 for w in weights):
        return False
    found = [weight for weight in weights if weight is not None]
    biases = {f"{name}.bias": weight for name, weight in zip(names, found, strict=True)}
    rest = {name for name in tensors if not name.endswith(".weight")}
    return (
        all(before.shape[0] == after.shape[1] for before, after in pairwise(found))
        and all(name in biases and tensors[name].shape == biases[name].shape[:1] for name in rest)
        and all(weight.is_floating_point() for weight in found)
    )
