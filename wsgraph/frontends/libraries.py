"""Importing the libraries that models come from."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["import_library"]


def import_library(name: str) -> ModuleType:
    """Import a module of a model library.

    Wheels of torchvision are built for CUDA. Beside a CPU torch their compiled operators are missing, and
    torchvision, like all that import it, fails over the two that it refers to while it is imported. They
    are defined then, without an implementation: they select boxes for detectors, after the network.

    Raises:
        ImportError: if it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise ImportError(f"importing {name} failed: {error}") from error
    _define_box_operators()
    return importlib.import_module(name)


@cache  # the definitions live as long as the object
def _define_box_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library
