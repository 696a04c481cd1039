"""Finds the state dict inside a checkpoint, and puts one into a module without copying it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from wsgraph.errors import CheckpointError

__all__ = ["Found", "bind_tensors", "differences", "find", "without_wrappers"]

_USUAL_NAMES = ("model", "state_dict", "model_state_dict", "net", "network", "params", "weights", "ema")
_WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile put before every name."""

_DEPTH = 4
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What a checkpoint holds.

    Attributes:
        content: a whole module, or tensors by name.
        notes: where it was found, and what else there was.
    """

    content: nn.Module | dict[str, Tensor]
    notes: tuple[str, ...] = ()


def find(loaded: object, where: str) -> Found:
    """The module or the mapping of names to tensors in what ``torch.save`` wrote.

    Found by looking, not by a fixed list of names; of several the usual names win, then the most tensors.

    Raises:
        CheckpointError: if there is neither.
    """
    candidates = list(_candidates(loaded, ()))
    if not candidates:
        kind = type(loaded).__name__
        keys = ", ".join(map(repr, itertools.islice(loaded, _SHOWN))) if isinstance(loaded, Mapping) else ""
        raise CheckpointError(
            f"{where} holds a {kind} without a module or a mapping of names to tensors"
            + (keys and f": {keys}"),
            remedy="save model.state_dict(), or a dict with it inside",
        )
    place, content = min(candidates, key=_rank)
    others = [".".join(other) for other, _ in candidates if other != place and other[:1] != ("optimizer",)]
    notes = []
    if place:
        beside = f" (also there, unused: {', '.join(others[:_SHOWN])})" if others else ""
        notes.append(f"weights read from {'.'.join(place)!r} of the checkpoint{beside}")
    if isinstance(content, nn.Module):
        return Found(content, tuple(notes))
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if left := [name for name in content if name not in tensors]:
        notes.append(f"entries that are no tensors are left out: {', '.join(map(str, left[:_SHOWN]))}")
    return Found(tensors, tuple(notes))


_Place = tuple[str, ...]


def _candidates(value: object, place: _Place) -> Iterator[tuple[_Place, nn.Module | Mapping[str, object]]]:
    """Modules and mappings of names that are mostly tensors, with the keys that lead to them."""
    if isinstance(value, nn.Module):
        yield place, value
    if not isinstance(value, Mapping) or len(place) > _DEPTH:
        return
    tensors = sum(isinstance(item, Tensor) for name, item in value.items() if isinstance(name, str))
    if tensors and 2 * tensors >= len(value):
        yield place, value
    for name, item in value.items():
        yield from _candidates(item, (*place, str(name)))


def _rank(candidate: tuple[_Place, nn.Module | Mapping[str, object]]) -> tuple[int, int, int]:
    """Sorts candidates: usual names first, then size, then depth."""
    place, content = candidate
    usual = _USUAL_NAMES.index(place[-1]) if place and place[-1] in _USUAL_NAMES else len(_USUAL_NAMES)
    size = len(content.state_dict()) if isinstance(content, nn.Module) else len(content)
    return usual, -size, len(place)


def without_wrappers(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors without the prefixes that training wrappers add to every name, and a note."""
    names = dict(tensors)
    removed = ""
    while prefix := next((w for w in _WRAPPERS if names and all(n.startswith(w) for n in names)), None):
        names = {name.removeprefix(prefix): value for name, value in names.items()}
        removed += prefix
    return names, ((f"prefix {removed!r} removed from every name",) if removed else ())


def differences(module: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Where names or shapes of a state dict differ from the module's, one difference a line.

    A tied parameter may stand under one of its names only, and BatchNorm's counters may be missing.
    """
    expected = module.state_dict()
    groups = _tied(module)
    found = []
    for name, value in expected.items():
        if name in tensors:
            if tensors[name].shape != value.shape:
                got, wanted = tuple(tensors[name].shape), tuple(value.shape)
                found.append(f"{name} has shape {got}, the model expects {wanted}")
        elif not name.endswith("num_batches_tracked") and not any(n in tensors for n in groups.get(name, ())):
            found.append(f"{name} is missing")
    return found + [f"{name} is not in the model" for name in tensors if name not in expected]


def _tied(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """For every parameter under several names all of these names."""
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return {name: tuple(group) for group in groups.values() if len(group) > 1 for name in group}


def bind_tensors(module: nn.Module, tensors: Mapping[str, Tensor], where: str, *, remedy: str) -> None:
    """Make the tensors the module's own, without a copy; ties between parameters are kept.

    Raises:
        CheckpointError: if names or shapes differ; it lists the first few differences.
    """
    if found := differences(module, tensors):
        more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        lines = "".join(f"\n  {line}" for line in found[:_SHOWN])
        raise CheckpointError(f"{where} does not fit {type(module).__name__}:{lines}{more}", remedy=remedy)
    groups = _tied(module)
    try:
        module.load_state_dict(dict(tensors), strict=False, assign=True)
    except RuntimeError as error:  # such as integer weights, which can be no nn.Parameter
        raise CheckpointError(
            f"{where} does not fit {type(module).__name__}: {error}", remedy=remedy
        ) from error
    for group in set(groups.values()):
        present = next(name for name in group if name in tensors)
        for name in group:
            if name not in tensors:
                owner, _, leaf = name.rpartition(".")
                setattr(module.get_submodule(owner), leaf, module.get_parameter(present))
