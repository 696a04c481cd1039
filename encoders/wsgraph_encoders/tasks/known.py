"""Bare state dicts of architectures that a run was trained on: it knows them, so nobody has to name them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsgraph.errors import CheckpointError, WsgraphError
from wsgraph.zoo.reading import read_state_dict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgraph.events.stream import EventStream

__all__ = ["read_known"]

_COMPILED = (".wsg", ".onnx", ".pt2")
"""Files that carry their own graph."""


def read_known(model: str, architectures: Sequence[EventStream], allow: Sequence[str]) -> EventStream | None:
    """The stream of a checkpoint whose names and shapes are those of exactly one architecture.

    Args:
        model: the checkpoint.
        architectures: streams without weights.
        allow: packages whose classes a pickle may name.

    Returns:
        The stream, or None where the file is something else: the compiler knows more, or says what is wrong.
    """
    path = Path(model)
    if not path.is_file() or path.suffix in _COMPILED:
        return None
    try:
        state = read_state_dict(path, allow)
    except WsgraphError:
        return None
    found = []
    for architecture in architectures:
        try:
            found.append(architecture.bind(state))
        except CheckpointError:
            continue  # names or shapes differ
    return found[0] if len(found) == 1 else None
