"""The weights under a structure: checking that they fit, and finding non-finite ones."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import CheckpointError
from wsgraph.events.bits import same_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.structure import Structure

__all__ = ["check_weights", "count_nonfinite", "stored_tensor"]

_CHUNK = 1 << 22
_SHOWN = 3


def check_weights(structure: Structure, weights: Mapping[str, Tensor]) -> None:
    """Check that weights have the names and shapes of a structure, and that tied tensors are equal.

    Reads names and shapes only; elements are compared only where tied tensors do not share their storage.

    Raises:
        CheckpointError: they differ; the message lists the first differences of each sort.
    """
    missing, shapes, untied, found = [], [], [], 0
    for name, spec in structure.tensors.items():
        tensor = weights.get(name)
        if tensor is None:
            if spec.tied_to is None:
                missing.append(name)
            continue
        found += 1
        if tensor.shape != spec.shape:
            shapes.append(f"{name} {list(tensor.shape)} for {list(spec.shape)}")
        elif spec.tied_to is not None and not _shares(tensor, weights.get(spec.tied_to)):
            untied.append(f"{name} and {spec.tied_to}")
    extra = list(islice((name for name in weights if name not in structure.tensors), len(weights) - found))
    problems = {
        "missing": missing,
        "unexpected": extra,
        "of another shape": shapes,
        "tied but unequal": untied,
    }
    if any(problems.values()):
        text = "; ".join(f"{len(names)} {sort}: {_first(names)}" for sort, names in problems.items() if names)
        raise CheckpointError(
            f"the weights do not fit the structure's {len(structure.tensors)} tensors: {text}",
            remedy="bind a state dict of the same architecture, or compile this model on its own",
        )


def _shares(tensor: Tensor, other: Tensor | None) -> bool:
    """Whether a tied tensor is still the other one; where the other is missing it stands in for it."""
    return other is None or same_bits(tensor, other)


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def stored_tensor(structure: Structure, weights: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor of a name, found under the name of the tensor that it is tied to if need be."""
    tensor = weights.get(name)
    return weights[structure.storage_name(name)] if tensor is None else tensor


def count_nonfinite(tensor: Tensor) -> int:
    """Number of NaN and infinite elements, counted in chunks of bounded size."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return 0
    count = 0
    flat = tensor.detach().reshape(-1)
    for start in range(0, flat.numel(), _CHUNK):
        chunk = flat[start : start + _CHUNK]
        # torch computes little with its eight-bit floats.
        wide = chunk.float() if chunk.dtype.itemsize == 1 else chunk
        if not _is_finite(wide):
            count += chunk.numel() - int(torch.isfinite(wide).count_nonzero())
    return count


def _is_finite(tensor: Tensor) -> bool:
    """Whether the extremes are finite: several times faster than a count, for nearly all tensors are."""
    if tensor.is_complex():
        return False  # complex numbers have no order, so they are counted
    least, greatest = torch.aminmax(tensor)  # NaN if any element is
    return bool(torch.isfinite(least) and torch.isfinite(greatest))
