"""Zoos: folders of many networks with their labels (DESIGN section 9)."""

from __future__ import annotations

from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights, ZooFormat
from wsgraph.zoo.importing import ImportReport, import_zoo, zoo_formats
from wsgraph.zoo.options import ImportOptions
from wsgraph.zoo.reader import Batch, Zoo, open_zoo
from wsgraph.zoo.writer import ModelRecord, ZooWriter

__all__ = [
    "Batch",
    "Checkpoint",
    "ImportOptions",
    "ImportReport",
    "Model",
    "ModelRecord",
    "Weights",
    "Zoo",
    "ZooFormat",
    "ZooWriter",
    "import_zoo",
    "open_zoo",
    "zoo_formats",
]
