"""The data of section 7: random multilayer perceptrons with the activations of all their layers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

import wsgraph
from wsgraph_encoders.batch import collate
from wsgraph_encoders.values import edge_weights, node_values

__all__ = ["FitData", "random_mlps"]


@dataclass(frozen=True, slots=True, eq=False)
class FitData:
    """Networks of one architecture, an input of each, and what it makes of it; read from their streams.

    Attributes:
        inputs: ``[n, size_0]``.
        weights: of each layer, ``[n, size_l, size_{l-1}]``.
        biases: of each layer, ``[n, size_l]``.
        activations: of each layer, ``[n, size_l]``: what is to be fitted.
    """

    inputs: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    activations: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device) -> FitData:
        """The same on a device."""
        parts = (self.weights, self.biases, self.activations)
        return FitData(self.inputs.to(device), *(tuple(x.to(device) for x in part) for part in parts))

    def __getitem__(self, rows: Tensor | slice) -> FitData:
        parts = (self.weights, self.biases, self.activations)
        return FitData(self.inputs[rows], *(tuple(x[rows] for x in part) for part in parts))


def random_mlps(count: int, sizes: tuple[int, ...], inputs: int, generator: torch.Generator) -> FitData:
    """MLPs with ReLU after every layer, the last one too: all layers are the same task so.

    Weights are normal with variance 1/in, biases and inputs standard normal, so that the bias and the message
    matter alike in every layer.

    Args:
        count: number of networks.
        sizes: neurons a layer, inputs first.
        inputs: inputs sampled a network; each makes an example.
        generator: where randomness comes from.

    Returns:
        ``count · inputs`` examples.
    """
    modules: list[nn.Module] = []
    for before, after in pairwise(sizes):
        modules += [nn.Linear(before, after), nn.ReLU()]
    compiled = wsgraph.compile(nn.Sequential(*modules), f"1x{sizes[0]}")
    streams = [compiled.bind(_weights(sizes, generator)) for _ in range(count)]
    (group,) = collate(streams).groups
    steps = [step for step in group.program.steps if step.links]
    weights = [
        edge_weights(group, step.links[0], step, torch.float32).flatten(1, 2).squeeze(-1) for step in steps
    ]
    biases = [node_values(group, step, "bias", torch.float32) for step in steps]
    x = torch.randn(count, inputs, sizes[0], generator=generator)
    activations, h = [], x
    for weight, bias in zip(weights, biases, strict=True):
        assert bias is not None
        h = (h @ weight.transpose(1, 2) + bias.unsqueeze(1)).relu()
        activations.append(h.flatten(0, 1))
    repeated = [
        tuple(y.repeat_interleave(inputs, 0) for y in part if y is not None) for part in (weights, biases)
    ]
    return FitData(x.flatten(0, 1), repeated[0], repeated[1], tuple(activations))


def _weights(sizes: tuple[int, ...], generator: torch.Generator) -> dict[str, Tensor]:
    state = {}
    for layer, (before, after) in enumerate(pairwise(sizes)):
        state[f"{2 * layer}.weight"] = torch.randn(after, before, generator=generator) / before**0.5
        state[f"{2 * layer}.bias"] = torch.randn(after, generator=generator)
    return state
