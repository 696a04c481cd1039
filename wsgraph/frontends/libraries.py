"""Importing the libraries that models come from."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["import_library", "with_box_operators"]

Loaded = TypeVar("Loaded")


def import_library(name: str) -> ModuleType:
    """Import a module of a model library.

    Raises:
        ImportError: if it is not installed, or cannot be imported.
    """
    try:
        return with_box_operators(lambda: importlib.import_module(name))
    except RuntimeError as error:
        raise ImportError(f"importing {name} failed: {error}") from error


def with_box_operators(load: Callable[[], Loaded]) -> Loaded:
    """Do something that imports, now or lazily, a library of models; its own errors pass through.

    Wheels of torchvision are built for CUDA. Beside a CPU torch their compiled operators are missing, and
    torchvision, like all that import it, fails over the two that it refers to while it is imported. They
    are defined then, without an implementation: they select boxes for detectors, after the network.
    """
    try:
        return load()
    except (ImportError, RuntimeError) as error:
        if not _lacks_box_operators(error):
            raise
    _define_box_operators()
    return load()


def _lacks_box_operators(error: BaseException | None) -> bool:
    """Whether that is why an import failed; transformers wraps the reason in an error of its own."""
    while error is not None:
        if "torchvision::" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@cache  # the definitions live as long as the object
def _define_box_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch's
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]  # torch's
    return library
