"""A model and its objective as Lightning modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.regression import KendallRankCorrCoef, MeanSquaredError, R2Score

from wsgraph_encoders.tasks.objectives import objective_of
from wsgraph_encoders.tasks.pieces import PieceSampler
from wsgraph_encoders.tasks.schedule import warm_up_then_cosine

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRScheduler
    from torch import nn

    from wsgraph_encoders.tasks.data import Examples, Piece
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.task import Task

__all__ = ["Learner", "ZooData"]


class ZooData(LightningDataModule):
    """Training and validation models of a zoo, piece by piece.

    Args:
        examples: the models.
        rooms: most models in a piece, by fingerprint.
        seed: of the order.
    """

    def __init__(self, examples: Examples, rooms: dict[str, int], seed: int) -> None:
        super().__init__()
        self.examples, self.rooms, self.seed = examples, rooms, seed
        self._first_epoch = 0
        lengths = [len(ids) for ids in examples.ids("train", rooms)]
        self.models_a_piece = sum(lengths) / len(lengths)

    def pieces_for(self, models: int) -> int:
        """How many pieces have about so many models."""
        return max(round(models / self.models_a_piece), 1)

    def train_dataloader(self) -> DataLoader[Piece]:
        """The pieces of an epoch; each process has its own part."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        models = self.examples.by_architecture("train")
        sampler = PieceSampler(models, self.rooms, self.seed, rank, world)
        sampler.set_epoch(self._first_epoch)  # Lightning sets those after it
        return DataLoader(self.examples, batch_size=None, sampler=sampler)

    def state_dict(self) -> dict[str, int]:
        """Part of the checkpoint, which is made while an epoch is still the current one."""
        assert self.trainer is not None
        return {"next_epoch": self.trainer.current_epoch + 1}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """From the checkpoint; the first iterator is made before Lightning knows its epoch."""
        self._first_epoch = state_dict["next_epoch"]

    def val_dataloader(self) -> DataLoader[Piece]:
        """All validation models, in every process: rank correlations of parts could not be put together."""
        pieces = self.examples.ids("val", self.rooms)
        return DataLoader(self.examples, batch_size=None, sampler=pieces)

    def transfer_batch_to_device(self, batch: Piece, device: torch.device, dataloader_idx: int) -> Piece:  # noqa: ARG002  Lightning's signature
        """Weights go where the model is."""
        return batch if device.type == "cpu" else batch.to(device)


class Learner(LightningModule):
    """Trains a model for a task.

    Random numbers of an epoch (dropout, noise) are drawn from the seed and the epoch's number, so that a
    training that is resumed after an epoch goes on as if it had not been interrupted.

    Args:
        model: what is trained.
        task: the task.
        settings: budget.
        seed: of the random numbers.
        models_a_piece: on average; larger pieces weigh more, so that all models weigh alike.
    """

    def __init__(
        self, model: nn.Module, task: Task, settings: TrainSettings, seed: int, models_a_piece: float
    ) -> None:
        super().__init__()
        self.model, self.task, self.objective = model, task, objective_of(task)
        self.settings, self.seed, self.models_a_piece = settings, seed, models_a_piece
        self.metrics = _metrics(task)
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()

    def on_train_batch_start(self, batch: Piece, batch_idx: int) -> None:  # noqa: ARG002  Lightning's signature
        """Random numbers start anew with an epoch; its own hook is not called when training is resumed."""
        if batch_idx == 0:
            place = self.current_epoch * self.trainer.world_size + self.trainer.global_rank
            torch.manual_seed((self.seed * 1_000_003 + place) % (1 << 32))
            self.train_loss.reset()

    def training_step(self, piece: Piece, _: int) -> Tensor:
        """The loss of one piece, by its share of a step; Lightning takes the mean over a step's pieces."""
        loss = self.objective.loss(self.model, piece)
        self.train_loss.update(loss.detach(), len(piece.ids))
        return loss * (len(piece.ids) / self.models_a_piece)

    def validation_step(self, piece: Piece, _: int) -> None:
        """Note predictions."""
        self.val_loss.update(self.objective.loss(self.model, piece), len(piece.ids))
        values = self.objective.values(self.model, piece)
        if self.task.kind == "reconstruct":
            self.metrics.update(values)
        else:
            self.metrics.update(values, piece.targets.to(values.dtype))

    def on_validation_epoch_end(self) -> None:
        """Scores over all validation models; one that is not defined, of equal predictions, counts as 0."""
        scores = {name: float(score.nan_to_num(nan=0.0)) for name, score in self.metrics.compute().items()}
        for name, score in scores.items():
            self.log(f"val/{name}", score, prog_bar=name == self.task.metrics[0])
        self.log("val/loss", float(self.val_loss.compute()))
        self.log("train/loss", float(self.train_loss.compute()))
        self.metrics.reset()
        self.val_loss.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW; the learning rate changes step by step."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        shape = warm_up_then_cosine(int(self.trainer.estimated_stepping_batches))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, shape)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _metrics(task: Task) -> MetricCollection:
    """Metrics of the predictions, by the names of ``task.metrics``; computed over a whole epoch."""
    if task.kind == "reconstruct":
        return MetricCollection({"psnr": MeanMetric()})
    if task.kind == "classify":
        return MetricCollection(
            {"accuracy": MulticlassAccuracy(num_classes=len(task.classes), average="micro")}
        )
    return MetricCollection(
        {"tau": KendallRankCorrCoef(), "r2": R2Score(), "mse": MeanSquaredError()}, compute_groups=False
    )
