"""Reading pickles that name classes which nobody has, without executing anything.

Every class or function that a checkpoint names, and that the weights-only unpickler does not know by itself,
becomes an :class:`Inert`: it swallows what it is called with and remembers plain fields. So a dict with a
state dict beside an unknown configuration class can be read, and no code of the file's choosing runs.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from wsgraph.errors import CheckpointError
from wsgraph.zoo.plain_pickle import NotPlainError, load_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Inert", "load_inert"]


class Inert:
    """What is left of an object of an unknown class: the arguments it was made with, and its fields."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.fields: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        """Keep the fields of the object; a pair is those in ``__dict__`` and those in slots."""
        parts = state if isinstance(state, tuple) else (state,)
        if len(parts) == 1 or all(part is None or isinstance(part, dict) for part in parts):
            for part in parts:
                if isinstance(part, dict):
                    self.fields.update({str(name): value for name, value in part.items()})

    def __setitem__(self, name: object, value: object) -> None:
        self.fields[str(name)] = value

    def append(self, value: object) -> None:
        """Swallow an item of what may have been a list."""
        self.arguments = (*self.arguments, value)

    def extend(self, values: object) -> None:
        """Swallow items of what may have been a list."""
        self.arguments = (*self.arguments, *(values if isinstance(values, list | tuple) else (values,)))


class _Stand:
    """What the unpickler sees under the name of an unknown class: calling it makes an :class:`Inert`."""

    def __init__(self) -> None:
        new: Callable[..., Inert] = lambda _cls, *arguments: Inert(*arguments)  # noqa: E731  an instance attribute
        vars(self)["__new__"] = new

    def __call__(self, *arguments: object, **_options: object) -> Inert:
        return Inert(*arguments)


def load_inert(path: Path) -> Any:
    """What ``torch.save`` wrote, with an :class:`Inert` for every object of an unknown class.

    Raises:
        CheckpointError: the file is missing or damaged, or uses its unknown classes in ways beyond objects.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    with suppress(NotPlainError):
        return load_plain(path)
    try:
        unknown = get_unsafe_globals_in_checkpoint(path)
        # The class itself is granted under a name that no pickle can ask for, so that objects take fields.
        granted = [*((_Stand(), name) for name in unknown), (Inert, "Inert\n")]
        with safe_globals(granted), warnings.catch_warnings():  # type: ignore[arg-type]  # any object will do
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in every way there is
        raise CheckpointError(f"{path} cannot be read as a torch checkpoint: {error}") from error
