"""``wsgraph train``: all methods and seeds of a task, one after the other."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wsgraph.zoo.reader import open_zoo
from wsgraph_encoders.tasks.columns import epoch_column
from wsgraph_encoders.tasks.data import Examples
from wsgraph_encoders.tasks.fit import Job, Machine, first_process, fit_model
from wsgraph_encoders.tasks.fitted import fit_baseline
from wsgraph_encoders.tasks.folder import PREDICTIONS, pair_folder
from wsgraph_encoders.tasks.methods import FITTED, check_methods, left_out, methods_for
from wsgraph_encoders.tasks.plan import make_plan, write_plan
from wsgraph_encoders.tasks.run import Run, load_run
from wsgraph_encoders.tasks.settings import TrainSettings
from wsgraph_encoders.tasks.targets import targets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

__all__ = ["train_task"]


def train_task(  # noqa: PLR0913  what a run is made of
    path: str | PathLike[str],
    zoo: str | PathLike[str],
    name: str | None = "accuracy",
    *,
    label: str | None = None,
    methods: Sequence[str] = (),
    seeds: int = 1,
    settings: TrainSettings | None = None,
    images: str | None = None,
    machine: Machine | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Run:
    """Train what is not trained yet; an interrupted training goes on after its last epoch.

    Args:
        path: the run's folder: a new one, or one of the same task and settings.
        zoo: the zoo's folder.
        name: ``accuracy``, ``classify``, ``regress``, ``reconstruct``, or a label column.
        label: the label column, where it has no usual name.
        methods: which; all of the task by default.
        seeds: of each method, numbered from 0.
        settings: sizes and budget.
        images: for ``reconstruct``, ``mnist``, ``digits`` or a ``.npy`` file; by default what the zoo says.
        machine: where to train.
        tell: called with lines for people.

    Raises:
        EncoderError: the task, a method or the settings do not fit the zoo or the folder.
        ZooError: the zoo is damaged.
        MissingDependencyError: a package of the extra ``train`` is not installed.
    """
    opened, folder, settings = open_zoo(zoo), Path(path), settings or TrainSettings()
    epochs = epoch_column(opened.models)
    plan = make_plan(folder, opened, name, label, images, settings)
    known = methods_for(plan.task, epochs=epochs is not None)
    check_methods(methods, known, plan.task.kind)
    chosen = [method for method in known if method in (methods or known)]
    skipped = left_out(plan, opened, settings)
    write_plan(folder, opened, plan, settings, known, skipped)
    for line in (*plan.notes, *(f"{m} is left out: {skipped[m]}" for m in chosen if m in skipped)):
        tell(line)
    examples = Examples(opened, plan.table, targets_of(plan.table, plan.task))
    job = Job(folder, plan.task, settings, examples, plan.only, machine or Machine(), tell)
    for seed in range(seeds):
        for method in chosen:
            if method not in skipped:
                _train(job, method, seed, epochs)
    return load_run(folder)


def _train(job: Job, method: str, seed: int, epochs: str | None) -> None:
    if (pair_folder(job.run, method, seed) / PREDICTIONS).is_file():
        return
    pair, start = f"{method}-{seed}", time.monotonic()
    own = replace(job, tell=partial(_told, job.tell, pair))
    if method in FITTED:
        if not first_process():
            return
        fit_baseline(own, method, seed, epochs)
    else:
        fit_model(own, method, seed)
    job.tell(f"{pair}: done after {time.monotonic() - start:.0f} s")


def _told(tell: Callable[[str], object], pair: str, line: str) -> None:
    tell(f"{pair}: {line}")
