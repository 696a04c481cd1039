"""Learning from a zoo: ``wsgraph train``, ``evaluate`` and ``predict`` (DESIGN sections 8 and 9).

Importing this package or its ``commands`` imports no torch, because ``wsgraph --help`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.lazy_names import lazy_names

if TYPE_CHECKING:
    from wsgraph_encoders.tasks.evaluate import evaluate_run
    from wsgraph_encoders.tasks.predict import predict_models
    from wsgraph_encoders.tasks.run import Run, load_run
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.study import train_task
    from wsgraph_encoders.tasks.task import Task

__all__ = ["Run", "Task", "TrainSettings", "evaluate_run", "load_run", "predict_models", "train_task"]

_HOMES = {
    "Run": "run",
    "Task": "task",
    "TrainSettings": "settings",
    "evaluate_run": "evaluate",
    "load_run": "run",
    "predict_models": "predict",
    "train_task": "study",
}

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
