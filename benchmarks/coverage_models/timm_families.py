"""timm: the smallest model of every module, and all others."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coverage_models.case import Case, Inputs
from wsgraph.frontends.libraries import import_library

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FURTHER", "timm_cases"]

FURTHER = "timm-further"
"""Group of the models that are not their family's smallest."""

SIZES = Path(__file__).with_name("timm_smallest.json")
"""Smallest model of each family; counting parameters of 1,370 models takes minutes, so it is kept."""


def build(name: str) -> tuple[nn.Module, Inputs]:
    """A timm model; its own configuration says what goes in."""
    timm = import_library("timm")
    return timm.create_model(name), None


def timm_cases(*, every_model: bool) -> list[Case]:
    """One case a family, or one a model."""
    models = import_library("timm").models
    families: dict[str, list[str]] = {}
    for name in models.list_models():
        module = models.model_entrypoint(name).__module__.rpartition(".")[2]
        families.setdefault(module, []).append(name)
    smallest = json.loads(SIZES.read_text())
    cases = []
    for family, names in sorted(families.items()):
        first = smallest.get(family, names[0])
        cases += [Case("timm" if n == first else FURTHER, family, n, partial(build, n)) for n in names]
    return [case for case in cases if every_model or case.group != FURTHER]
