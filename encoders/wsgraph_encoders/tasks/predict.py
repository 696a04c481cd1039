"""``wsgraph predict``: labels of models that were not in the zoo."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

import wsgraph
from wsgraph.errors import WsgraphError
from wsgraph.options import CompileOptions
from wsgraph_encoders.baselines import layer_statistics
from wsgraph_encoders.batch import collate
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks.fitted import Trees, stored_statistics
from wsgraph_encoders.tasks.known import read_known
from wsgraph_encoders.tasks.objectives import LabelObjective
from wsgraph_encoders.tasks.run import load_run
from wsgraph_encoders.tasks.targets import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.tasks.run import Run
    from wsgraph_encoders.tasks.task import Task

__all__ = ["predict_models"]


def predict_models(
    path: str | PathLike[str],
    models: Sequence[str],
    *,
    methods: Sequence[str] = (),
    inputs: Sequence[str] | None = None,
    arch: str | None = None,
    options: CompileOptions | None = None,
) -> list[dict[str, Any]]:
    """Predict for models, one after the other.

    Args:
        path: the run's folder.
        models: whatever :func:`wsgraph.compile` takes, ``.wsg`` files, or state dicts of the architectures
            that the run was trained on.
        methods: which; by default all that can.
        inputs: shapes, as for ``compile``.
        arch: as for ``compile``.
        options: as for ``compile``.

    Returns:
        For each model ``model``, ``error`` (why it cannot be processed, or None), ``predictions``: by method
        ``prediction`` (mean over seeds; the most frequent class), ``deviation`` (None for classes) and
        ``seeds``; and ``left_out``: by method, why it has no prediction.

    Raises:
        EncoderError: the folder is no run, has no such method, or the task is to reconstruct images.
    """
    run = load_run(path)
    if run.task.kind == "reconstruct":
        raise EncoderError(
            "a reconstruction is an image, no label", remedy="load_run(RUN).model(METHOD, SEED)(batch).images"
        )
    if not run.pairs:
        raise EncoderError(f"nothing is trained yet in {run.path}", remedy="run wsgraph train again")
    readers = {m: [_reader(run, m, seed) for seed in run.seeds_of(m)] for m in methods or run.methods}
    options, known = options or CompileOptions(), [] if arch else run.architectures()
    found = []
    for model in models:
        entry: dict[str, Any] = {"model": model, "error": None, "predictions": {}, "left_out": {}}
        found.append(entry)
        try:
            stream = read_known(model, known, options.allow) or _stream(
                model, inputs=inputs, arch=arch, options=options
            )
            _predict(stream, readers, run.task, entry)
        except WsgraphError as error:
            entry["error"] = str(error)
    return found


_Reader: TypeAlias = "Callable[[EventStream], float]"


def _stream(model: str, **arguments: Any) -> EventStream:
    """A model's stream, with weights.

    Raises:
        WsgraphError: it cannot be read, or has no weights.
    """
    stream = wsgraph.load(model) if Path(model).suffix == ".wsg" else wsgraph.compile(model, **arguments)
    if stream.weights is None:
        raise EncoderError("the file has no weights", remedy="compile it again, without --no-weights")
    return stream


def _predict(
    stream: EventStream, readers: dict[str, list[_Reader]], task: Task, entry: dict[str, Any]
) -> None:
    """Fill in an entry.

    Raises:
        CheckpointError: a weight is NaN or infinite.
        EncoderError: no method can predict for this model.
    """
    for method, seeds in readers.items():
        try:
            entry["predictions"][method] = _summary(task, [read(stream) for read in seeds])
        except EncoderError as error:
            entry["left_out"][method] = error.message
    if not entry["predictions"]:
        raise EncoderError("no method can predict for it: " + "; ".join(entry["left_out"].values()))


def _summary(task: Task, values: list[float]) -> dict[str, Any]:
    labels = labels_of(values, task)
    if task.kind == "classify":
        return {"prediction": statistics.mode(labels), "deviation": None, "seeds": labels}
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"prediction": statistics.fmean(values), "deviation": deviation, "seeds": labels}


def _reader(run: Run, method: str, seed: int) -> _Reader:
    """A trained method and seed, as a function of a stream."""
    if method == "statistics":
        return _trees_reader(run, seed)
    if method == "epoch":
        return _no_epoch
    model, objective = run.model(method, seed), LabelObjective(run.task)

    @torch.no_grad()
    def read(stream: EventStream) -> float:
        return float(objective.read(model(collate([stream])))[0])

    return read


def _trees_reader(run: Run, seed: int) -> _Reader:
    """Trees are fitted again to the stored features, with the same result: no pickle has to be trusted."""
    trees = Trees(run.task, run.settings, seed)
    trees.fit(stored_statistics(run.path), run.examples)
    return lambda stream: float(trees.predict(layer_statistics(stream).numpy()[None])[0])


def _no_epoch(_: EventStream) -> float:
    raise EncoderError("a model's weights do not say how long it was trained")
