"""Training one method with one seed, by Lightning."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from wsgraph_encoders.baselines import FlatMLP
from wsgraph_encoders.tasks.folder import PREDICTIONS, pair_folder, write_json, write_parquet, writing
from wsgraph_encoders.tasks.lightning_extra import quiet_lightning, require_packages
from wsgraph_encoders.tasks.methods import build_model
from wsgraph_encoders.tasks.objectives import objective_of
from wsgraph_encoders.tasks.pictures import write_pictures
from wsgraph_encoders.tasks.targets import prediction_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lightning.pytorch import Trainer
    from torch import nn

    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.tasks.data import Examples
    from wsgraph_encoders.tasks.objectives import Objective
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.task import Task

__all__ = ["Job", "Machine", "first_process", "fit_model"]


def first_process() -> bool:
    """Whether this is the process that writes and tells; Lightning and torchrun start the others."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where Lightning trains; its own names.

    Attributes:
        accelerator: ``auto``, ``cpu``, ``gpu``...
        devices: how many.
        strategy: ``auto``, ``ddp``...
    """

    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"

    @property
    def trainer_strategy(self) -> str:
        """Not every architecture uses every parameter, which DDP has to be told."""
        plain = self.strategy in ("auto", "ddp") and self.devices > 1
        return "ddp_find_unused_parameters_true" if plain else self.strategy


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What all methods and seeds of a run have in common.

    Attributes:
        run: the run's folder.
        task: the task.
        settings: sizes and budget.
        examples: the models.
        only: the architecture, without weights, where there is one only.
        machine: where to train.
        tell: called with lines for people.
    """

    run: Path
    task: Task
    settings: TrainSettings
    examples: Examples
    only: EventStream | None
    machine: Machine
    tell: Callable[[str], object]


def fit_model(job: Job, method: str, seed: int) -> None:
    """Train, from the last checkpoint where there is one; then predict for all models, with the best epoch.

    Raises:
        MissingDependencyError: Lightning or torchmetrics is not installed.
        EncoderError: the folder cannot be written.
    """
    require_packages("lightning", "torchmetrics")
    folder, objective = pair_folder(job.run, method, seed), objective_of(job.task)
    model = _fresh(job, method, seed, objective)
    write_json(folder / "config.json", _config(job, method, seed, model))
    with quiet_lightning():
        trainer = _train(job, method, seed, model, folder)
    if trainer.is_global_zero:
        model.cpu().load_state_dict(_best(folder))
        with writing(folder / "model.safetensors") as temporary:
            save_file({name: t.contiguous() for name, t in model.state_dict().items()}, temporary)
        if job.task.kind == "reconstruct":
            write_pictures(folder, model.eval(), job.examples)
        rooms = job.examples.rooms(method, job.settings.batch)
        predicted = _predict(job, model.eval(), objective, rooms)
        table = prediction_table(job.examples.table, predicted, job.task, method, seed)
        write_parquet(folder / PREDICTIONS, table)  # last: from here on this pair is finished


def _best(folder: Path) -> dict[str, torch.Tensor]:
    """The model's state after its best epoch."""
    stored = torch.load(folder / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    prefix = "model."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in stored["state_dict"].items()
        if name.startswith(prefix)
    }


def _fresh(job: Job, method: str, seed: int, objective: Objective) -> nn.Module:
    """A model with parameters from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(method, job.task, job.settings, job.only)
    objective.prepare(model)
    if isinstance(encoder := getattr(model, "encoder", None), FlatMLP):
        pieces = job.examples.pieces("train", job.examples.rooms(method, job.settings.chunk))
        encoder.standardise(s for piece in pieces for group in piece.batch.groups for s in group.streams)
    return model


def _config(job: Job, method: str, seed: int, model: nn.Module) -> dict[str, Any]:
    return {
        "method": method,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "task": job.task.to_json(),
        "settings": job.settings.to_json(),
    }


def _train(job: Job, method: str, seed: int, model: nn.Module, folder: Path) -> Trainer:
    from lightning.pytorch import Trainer

    from wsgraph_encoders.tasks.callbacks import History, Patience, SafeCheckpoints, Told, checkpoints
    from wsgraph_encoders.tasks.learner import Learner, ZooData

    states, goal, interactive = folder / "checkpoints", job.task.goal, sys.stderr.isatty()
    patience = Patience(
        f"val/{goal.metric}",
        patience=job.settings.patience,
        mode="max" if goal.higher else "min",
        check_on_train_epoch_end=True,
    )
    told = [] if interactive else [Told(job.tell, job.task)]
    data = ZooData(job.examples, job.examples.rooms(method, job.settings.chunk), seed)
    trainer = Trainer(
        accumulate_grad_batches=data.pieces_for(job.settings.batch),
        accelerator=job.machine.accelerator,
        devices=job.machine.devices,
        strategy=job.machine.trainer_strategy,
        max_epochs=job.settings.epochs,
        logger=False,
        callbacks=[History(folder / "history.parquet"), patience, *told, *checkpoints(states, job.task)],
        plugins=[SafeCheckpoints()],
        enable_progress_bar=interactive,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,  # the steps are divided among processes by their sampler
        default_root_dir=folder,
    )
    learner = Learner(model, job.task, job.settings, seed, data.models_a_piece)
    last = states / "last.ckpt"
    trainer.fit(learner, datamodule=data, ckpt_path=last if last.is_file() else None, weights_only=True)
    return trainer


@torch.no_grad()
def _predict(job: Job, model: nn.Module, objective: Objective, rooms: Mapping[str, int]) -> dict[str, float]:
    """Predictions for the models of all splits, by id."""
    predicted: dict[str, float] = {}
    for split in ("train", "val", "test"):
        for piece in job.examples.pieces(split, rooms):
            predicted |= dict(zip(piece.ids, objective.values(model, piece).tolist(), strict=True))
    return predicted
