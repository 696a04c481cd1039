"""Tracing each architecture of a zoo once, and putting every other checkpoint's weights under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch

from wsgraph.compiler import compile as compile_model
from wsgraph.errors import CheckpointError, WsgraphError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsgraph.events.structure import Structure
    from wsgraph.options import CompileOptions
    from wsgraph.zoo.checkpoint import Model, Weights

__all__ = ["Tracer"]

_Signature: TypeAlias = tuple[str, tuple[tuple[str, torch.Size], ...]]


@dataclass(frozen=True, slots=True)
class _Traced:
    """A traced architecture.

    Attributes:
        structure: its structure.
        names: which of a checkpoint's tensors each of the structure's is.
        constants: the structure's tensors that checkpoints do not hold.
        convert: the checkpoints' own tensors do not fit; the library has to convert them.
    """

    structure: Structure
    names: Mapping[str, str]
    constants: Mapping[str, Tensor]
    convert: bool

    def bind(self, weights: Weights) -> dict[str, Tensor]:
        """A checkpoint's tensors under the structure's names, with the model's own constants."""
        tensors = weights.tensors
        if self.convert and weights.converted is not None:
            tensors = weights.converted()
        return {**self.constants, **{name: tensors[stored] for name, stored in self.names.items()}}


class Tracer:
    """Finds the structure of each checkpoint, tracing only the first of every architecture.

    Architectures are told apart by what a format says of them and by the tensors' names and shapes. One
    that cannot be traced fails for all of its checkpoints, with the same error, and is tried once.

    Args:
        options: how to compile.
    """

    def __init__(self, options: CompileOptions | None = None) -> None:
        self._options = options
        self._traced: dict[_Signature, _Traced | WsgraphError] = {}
        self._structures: dict[str, Structure] = {}

    def __len__(self) -> int:
        """Number of architectures traced."""
        return sum(isinstance(traced, _Traced) for traced in self._traced.values())

    def structure(self, weights: Weights) -> tuple[Structure, dict[str, Tensor]]:
        """The structure of a checkpoint, and its tensors under the structure's names.

        Raises:
            WsgraphError: the model cannot be built or compiled, or the tensors do not fit it.
        """
        signature = (weights.architecture, tuple(sorted((n, t.shape) for n, t in weights.tensors.items())))
        traced = self._traced.get(signature)
        if traced is None:
            try:
                traced = self._trace(weights)
            except WsgraphError as error:
                traced = error
            self._traced[signature] = traced
        if isinstance(traced, WsgraphError):
            raise traced
        return traced.structure, traced.bind(weights)

    def _trace(self, weights: Weights) -> _Traced:
        with torch.random.fork_rng(devices=[]):
            model = weights.build()
        convert = False
        try:
            names, constants = _match(model, weights.tensors)
        except CheckpointError:
            if weights.converted is None:
                raise
            names, constants = _match(model, weights.converted())
            convert = True
        stream = compile_model(model.module, inputs=model.inputs, options=self._options)
        # One object an architecture, also where signatures differ (a checkpoint without a constant buffer).
        structure = self._structures.setdefault(stream.fingerprint, stream.structure)
        return _Traced(structure, names, constants, convert)


def _match(model: Model, tensors: Mapping[str, Tensor]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Which checkpoint tensor each of the model's tensors is: of the same name, else of the same memory.

    The model may hold the checkpoint's tensors under other names. Buffers that the checkpoint lacks are
    constants of the model.

    Raises:
        CheckpointError: a parameter is in no tensor, a shape differs, or a tensor is left over.
    """
    parameters = dict(model.module.named_parameters(remove_duplicate=False))
    memory = {(tensor.data_ptr(), tensor.shape): name for name, tensor in tensors.items() if tensor.numel()}
    names: dict[str, str] = {}
    constants: dict[str, Tensor] = {}
    for name, tensor in model.module.state_dict().items():
        stored = name if name in tensors else memory.get((tensor.data_ptr(), tensor.shape))
        if stored is not None:
            if tensors[stored].shape != tensor.shape:
                got, expected = list(tensors[stored].shape), list(tensor.shape)
                raise CheckpointError(f"{name} has the shape {got}, its model expects {expected}")
            names[name] = stored
        elif name in parameters:
            raise CheckpointError(f"the checkpoint has no {name}, which its model needs")
        else:
            constants[name] = tensor.detach().clone()
    if left := sorted(set(tensors) - set(names.values())):
        raise CheckpointError(f"the checkpoint's {left[0]} has no place in its model")
    return names, constants
