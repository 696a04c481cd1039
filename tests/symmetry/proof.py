"""Symmetries proved on the real model, in float64: nothing of wsgraph runs it."""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

import wsgraph
from wsgraph.symmetry import Symmetry
from wsgraph.symmetry.analysis import analyse
from wsgraph.symmetry.permute import draw, move_weights

TOLERANCE = 1e-9


def double(model: nn.Module) -> nn.Module:
    """The model in float64 with generic weights: zeros and ones would hide what moves."""
    model = copy.deepcopy(model).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.add_(0.2 * noise)
        for name, tensor in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
    return model


def tensors_in(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    values = result.values() if isinstance(result, dict) else result
    return [t for v in values if v is not None and not isinstance(v, str) for t in tensors_in(v)]


def run(model: nn.Module, state: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    model = copy.deepcopy(model)
    model.load_state_dict(state)
    with torch.no_grad():
        return [t for t in tensors_in(model(*inputs)) if t.is_floating_point()]


def gap(left: list[Tensor], right: list[Tensor]) -> float:
    pairs = zip(left, right, strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-300)) for a, b in pairs)


def example(spec: str) -> Tensor:
    sizes, _, dtype = spec.partition(":")
    shape = [int(n) for n in sizes.split("x")]
    generator = torch.Generator().manual_seed(2)
    if dtype:
        return torch.randint(0, 7, shape, generator=generator)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def proved(model: nn.Module, *specs: str, tolerance: float = TOLERANCE, alone: bool = True) -> list[Symmetry]:
    """Symmetries of a model after every group, alone and all together, was tried on the model itself."""
    model = double(model)
    inputs = tuple(example(s) for s in specs)
    stream = wsgraph.compile(model, list(inputs))
    analysis = analyse(stream.structure)
    before = run(model, stream.state_dict(), inputs)
    generator = torch.Generator().manual_seed(3)
    for group in analysis.groups if alone else ():
        moved = move_weights(stream, analysis, draw(analysis, [group], generator))
        assert gap(before, run(model, moved, inputs)) <= tolerance, analysis.describe(group)
    for seed in range(2):
        other = wsgraph.permute(stream, seed)
        assert other.fingerprint == stream.fingerprint
        assert gap(before, run(model, other.state_dict(), inputs)) <= tolerance
    return wsgraph.symmetries(stream)


def permutations(found: list[Symmetry]) -> Counter[tuple[str, int]]:
    """How many groups there are of each kind and size, scales left out."""
    return Counter((s.kind, s.size) for s in found if "sca" not in s.kind and s.kind != "sign")
