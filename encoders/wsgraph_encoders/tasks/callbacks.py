"""What Lightning does besides training: history, early stopping, checkpoints, lines for people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from wsgraph_encoders.tasks.folder import write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import LightningModule, Trainer

    from wsgraph_encoders.tasks.task import Task

__all__ = ["History", "Patience", "SafeCheckpoints", "Told", "checkpoints"]

_SCHEMA = {"step": pl.Int64, "epoch": pl.Int64, "split": pl.String, "metric": pl.String, "value": pl.Float64}
_LINES = 5


class History(Callback):
    """Keeps every epoch's scores, in the checkpoint and in ``history.parquet``.

    Args:
        path: of the table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[tuple[int, int, str, str, float]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  Lightning's signature
        """Note the scores of an epoch."""
        for name, value in sorted(trainer.callback_metrics.items()):
            split, metric = name.split("/")
            self.rows.append((trainer.global_step, trainer.current_epoch, split, metric, float(value)))
        if trainer.is_global_zero:
            write_parquet(self.path, pl.DataFrame(self.rows, schema=_SCHEMA, orient="row"))

    def state_dict(self) -> dict[str, Any]:
        """Part of the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint; later rows in the file were of an epoch that was not finished."""
        self.rows = [tuple(row) for row in state_dict["rows"]]


class Patience(EarlyStopping):
    """Early stopping that also knows, when resumed, that it had stopped already."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  Lightning's signature
        """A training that was killed after its last epoch is not given another one."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class Told(Callback):
    """A line now and then, where there is no progress bar.

    Args:
        tell: called with a line.
        task: the task.
    """

    def __init__(self, tell: Callable[[str], object], task: Task) -> None:
        self._tell, self._metric = tell, task.goal.metric

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  Lightning's signature
        """A line every few epochs."""
        epoch, most = trainer.current_epoch + 1, trainer.max_epochs or 1
        if trainer.is_global_zero and epoch % max(most // _LINES, 1) == 0:
            score = float(trainer.callback_metrics[f"val/{self._metric}"])
            self._tell(f"epoch {epoch} of at most {most}, validation {self._metric} {score:.3f}")


class SafeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all, and read without executing anything."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002  Lightning's signature
        """Write beside the file, then rename: Lightning's own renames across file systems."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            torch.save(checkpoint, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:  # noqa: ARG002  never anything but weights
        """Read tensors and plain data."""
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)


def checkpoints(folder: Path, task: Task) -> list[ModelCheckpoint]:
    """``best.ckpt``, then ``last.ckpt`` after every epoch: the state to go on from knows the best.

    Both when an epoch is over: a checkpoint made right after validation counts as one inside of its epoch.
    """
    best = ModelCheckpoint(
        folder,
        "best",
        monitor=f"val/{task.goal.metric}",
        mode="max" if task.goal.higher else "min",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    last = ModelCheckpoint(
        folder, "last", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
    )
    return [best, last]
