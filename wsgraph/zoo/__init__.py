"""Zoos: folders of many networks with their labels (DESIGN section 9).

The public names are loaded on first use, for the zoo formats' plugin module and the commands are
imported by ``wsgraph --help``.
"""

from typing import TYPE_CHECKING

from wsgraph.lazy_names import lazy_names

if TYPE_CHECKING:
    from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights, ZooFormat
    from wsgraph.zoo.importing import ImportReport, import_zoo, zoo_formats
    from wsgraph.zoo.leakage import leaking_runs, split_zoo
    from wsgraph.zoo.options import ImportOptions
    from wsgraph.zoo.reader import Batch, Zoo, open_zoo
    from wsgraph.zoo.summary import summarise
    from wsgraph.zoo.training.run import TrainingPlan, train_zoo
    from wsgraph.zoo.writer import ModelRecord, ZooWriter

__all__ = [
    "Batch",
    "Checkpoint",
    "ImportOptions",
    "ImportReport",
    "Model",
    "ModelRecord",
    "TrainingPlan",
    "Weights",
    "Zoo",
    "ZooFormat",
    "ZooWriter",
    "import_zoo",
    "leaking_runs",
    "open_zoo",
    "split_zoo",
    "summarise",
    "train_zoo",
    "zoo_formats",
]

_HOMES = {
    "Batch": "reader",
    "Checkpoint": "checkpoint",
    "ImportOptions": "options",
    "ImportReport": "importing",
    "Model": "checkpoint",
    "ModelRecord": "writer",
    "TrainingPlan": "training.run",
    "Weights": "checkpoint",
    "Zoo": "reader",
    "ZooFormat": "checkpoint",
    "ZooWriter": "writer",
    "import_zoo": "importing",
    "leaking_runs": "leakage",
    "open_zoo": "reader",
    "split_zoo": "leakage",
    "summarise": "summary",
    "train_zoo": "training.run",
    "zoo_formats": "importing",
}


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
