"""A model and its objective as Lightning modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.regression import KendallRankCorrCoef, MeanSquaredError, R2Score

from wsgraph_encoders.tasks.schedule import warm_up_then_cosine
from wsgraph_encoders.tasks.steps import StepSampler

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRScheduler
    from torch import nn

    from wsgraph_encoders.tasks.data import Examples, Step
    from wsgraph_encoders.tasks.objectives import Objective
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.task import Task

__all__ = ["Learner", "ZooData"]


class ZooData(LightningDataModule):
    """Training and validation models of a zoo.

    Args:
        examples: the models.
        settings: sizes of steps.
        seed: of the order.
    """

    def __init__(self, examples: Examples, settings: TrainSettings, seed: int) -> None:
        super().__init__()
        self.examples, self.settings, self.seed = examples, settings, seed

    def train_dataloader(self) -> DataLoader[Step]:
        """Mixed steps; each process has its own part."""
        trainer, settings = self.trainer, self.settings
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        models = self.examples.by_architecture("train")
        sampler = StepSampler(models, settings.batch, settings.chunk, self.seed, rank, world)
        return DataLoader(self.examples, batch_size=None, sampler=sampler)  # type: ignore[arg-type]  lists of ids

    def val_dataloader(self) -> DataLoader[Step]:
        """All validation models, in every process: ranks of a part of them could not be put together."""
        pieces = self.examples.pieces("val", self.settings.batch)
        return DataLoader(self.examples, batch_size=None, sampler=pieces)  # type: ignore[arg-type]  likewise

    def transfer_batch_to_device(self, batch: Step, device: torch.device, dataloader_idx: int) -> Step:  # noqa: ARG002  Lightning's signature
        """Weights go where the model is."""
        return batch if device.type == "cpu" else batch.to(device)


class Learner(LightningModule):
    """Trains a model for a task.

    Random numbers of an epoch (dropout, noise) are drawn from the seed and the epoch's number, so that a
    training that is resumed after an epoch goes on as if it had not been interrupted.

    Args:
        model: what is trained.
        task: the task.
        objective: the task's.
        settings: budget.
        seed: of the random numbers.
    """

    def __init__(
        self, model: nn.Module, task: Task, objective: Objective, settings: TrainSettings, seed: int
    ) -> None:
        super().__init__()
        self.model, self.task, self.objective = model, task, objective
        self.settings, self.seed = settings, seed
        self.metrics = _metrics(task)
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()

    def on_train_epoch_start(self) -> None:
        """Random numbers start anew."""
        place = self.current_epoch * self.trainer.world_size + self.trainer.global_rank
        torch.manual_seed((self.seed * 1_000_003 + place) % (1 << 32))
        self.train_loss.reset()

    def training_step(self, step: Step, _: int) -> Tensor:
        """The loss of one step."""
        loss = self.objective.loss(self.model, step)
        self.train_loss.update(loss.detach(), len(step.ids))
        return loss

    def validation_step(self, step: Step, _: int) -> None:
        """Note predictions."""
        self.val_loss.update(self.objective.loss(self.model, step), len(step.ids))
        values = self.objective.values(self.model, step)
        if self.task.kind == "reconstruct":
            self.metrics.update(values)
        else:
            self.metrics.update(values, step.targets.to(values.dtype))

    def on_validation_epoch_end(self) -> None:
        """Scores over all validation models; one that is not defined, of equal predictions, counts as 0."""
        scores = {name: float(score.nan_to_num(nan=0.0)) for name, score in self.metrics.compute().items()}
        for name, score in scores.items():
            self.log(f"val/{name}", score, prog_bar=name == self.task.goal.metric)
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

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's parameters and buffers; metrics start anew every epoch."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """The other way round."""
        return self.model.load_state_dict(state_dict, strict=strict, assign=assign)


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
