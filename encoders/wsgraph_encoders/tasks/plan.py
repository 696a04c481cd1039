"""What a run is about, written down before anything is trained: examples, task, settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from wsgraph.events.stream import EventStream
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks.columns import choose_column
from wsgraph_encoders.tasks.examples import COLUMNS, draw_examples
from wsgraph_encoders.tasks.folder import EXAMPLES, RUN, read_json, read_parquet, write_json, write_parquet
from wsgraph_encoders.tasks.run import FORMAT, VERSION
from wsgraph_encoders.tasks.targets import load_pictures
from wsgraph_encoders.tasks.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from wsgraph.zoo.reader import Zoo
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.task import Kind

__all__ = ["Plan", "make_plan", "write_plan"]


class Plan:
    """A task over chosen models of a zoo.

    Attributes:
        task: the task.
        table: the models that take part: id, fingerprint, split, label.
        notes: for people, what was left out or assumed.
        only: the architecture, without weights, where there is one only.
    """

    def __init__(self, task: Task, table: pl.DataFrame, notes: list[str], zoo: Zoo) -> None:
        self.task, self.table, self.notes = task, table, notes
        fingerprints = table["fingerprint"].unique()
        self.only = EventStream(zoo.structure(fingerprints[0]), None) if len(fingerprints) == 1 else None


def make_plan(
    folder: Path, zoo: Zoo, name: str | None, label: str | None, images: str | None, settings: TrainSettings
) -> Plan:
    """Decide on the task and its models, or read again what was decided in this folder.

    Raises:
        EncoderError: the task does not fit the zoo, or the folder holds another run.
    """
    kind, column = choose_column(zoo.models, name, label)
    stored = read_json(folder / RUN) if (folder / RUN).is_file() else None
    if stored is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise EncoderError(f"{folder} is there and is no run", remedy="name a new or empty folder")
        table, notes = draw_examples(zoo, kind, column, settings.split_seed)
        write_parquet(folder / EXAMPLES, table)
    else:
        table, notes = (
            read_parquet(folder / EXAMPLES, COLUMNS),
            [str(note) for note in stored.get("notes", ())],
        )
    plan = Plan(_task(kind, column, table, images or _images_of(zoo, kind)), table, notes, zoo)
    if stored is not None:
        _check_same(folder, stored, {"task": plan.task.to_json(), "settings": settings.to_json()})
    return plan


def _task(kind: Kind, label: str, table: pl.DataFrame, images: str) -> Task:
    labels = table.filter(pl.col("split") == "train")["label"]
    if kind == "classify":
        return Task(kind, label, classes=tuple(table["label"].unique().sort().to_list()))
    if kind == "reconstruct":
        _, channels, height, width = load_pictures(images).shape
        if height % 4 or width % 4:
            raise EncoderError(f"images of {height} by {width} pixels cannot be decoded: no multiples of 4")
        return Task(kind, label, images=images, image_shape=(channels, height, width))
    values = labels.to_numpy()
    return Task(kind, label, mean=float(values.mean()), deviation=max(float(values.std()), 1e-12))


def write_plan(
    folder: Path,
    zoo: Zoo,
    plan: Plan,
    settings: TrainSettings,
    methods: tuple[str, ...],
    skipped: dict[str, str],
) -> None:
    """Write ``run.json``, and before it the architectures.

    Args:
        folder: the run's.
        zoo: where the models are.
        plan: the task.
        settings: sizes and budget.
        methods: all that the task has, ours first.
        skipped: methods that do not fit this zoo, and why.
    """
    (folder / "structures").mkdir(exist_ok=True)
    for fingerprint in plan.table["fingerprint"].unique().to_list():
        path = folder / "structures" / f"{fingerprint}.wsg"
        if not path.is_file():
            EventStream(zoo.structure(fingerprint), None).save(path, weights=False)
    data: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "task": plan.task.to_json(),
        "zoo": str(zoo.path.resolve()),
        "settings": settings.to_json(),
        "methods": methods,
        "skipped": skipped,
        "notes": plan.notes,
    }
    write_json(folder / RUN, data)


def _images_of(zoo: Zoo, kind: Kind) -> str:
    """The images that the zoo's INRs were fitted to, where it says so."""
    if kind != "reconstruct":
        return ""
    column = "config.images"
    found = zoo.models[column].unique().to_list() if column in zoo.models.columns else []
    if len(found) != 1 or found[0] is None:
        raise EncoderError(
            "the zoo does not say which images its networks hold",
            remedy="name them: --images mnist, --images digits, or --images FILE.npy",
        )
    return str(found[0])


def _check_same(folder: Path, stored: dict[str, Any], wanted: dict[str, dict[str, Any]]) -> None:
    for part, data in wanted.items():
        old, new = stored.get(part, {}), json.loads(json.dumps(data))
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if changed:
            raise EncoderError(
                f"{folder} holds another run: {part} {changed[0]} was {old.get(changed[0])!r}, is "
                f"{new.get(changed[0])!r}",
                remedy="name another folder with --output",
            )
