"""Importing the libraries that models come from."""

from __future__ import annotations

import ctypes
import importlib
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["import_library"]


def import_library(name: str) -> ModuleType:
    """Import a module of a model library.

    Raises:
        ImportError: if it is not installed, or cannot be imported.
    """
    _supply_box_operators()
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        raise ImportError(f"importing {name} failed: {error}") from error


@cache  # the definitions live as long as the object
def _supply_box_operators() -> torch.library.Library | None:
    """Define the two operators without which a torchvision that does not fit this torch cannot be imported.

    Its wheels are built for CUDA. Beside a CPU torch their compiled operators cannot be loaded, and
    torchvision, like all that imports it, at once or when a name is first used, fails over these two. They
    get no implementation: they select boxes for detectors, after the network.
    """
    found = find_spec("torchvision")
    if found is None or found.origin is None or hasattr(torch.ops.torchvision, "nms"):
        return None
    with suppress(OSError):
        for compiled in Path(found.origin).parent.glob("_C.*"):
            ctypes.CDLL(str(compiled))
            return None
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch's
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]  # torch's
    return library
