"""A training loop with validation: the best state on the validation set is kept (App. G.1.3)."""

from __future__ import annotations

import copy
import io
import math
import pickle
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.experiments.results import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Budget", "Curve", "accuracy", "rate", "train"]

_UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError)
"""What torch.load and load_state_dict raise for files that are damaged or hold something else."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train.

    Attributes:
        steps: number of steps.
        batch: examples a step, drawn epoch by epoch.
        learning_rate: the greatest; see :func:`rate`.
        warmup: share of the steps over which the learning rate rises.
        clip: largest norm of a step's gradient.
        weight_decay: AdamW's; without it that is Adam.
    """

    steps: int
    batch: int
    learning_rate: float
    warmup: float = 0.1
    clip: float = 0.5
    weight_decay: float = 0.0


@dataclass(slots=True)
class Curve:
    """How a validation score went.

    Attributes:
        steps: when it was measured.
        scores: what it was; higher is better.
        seconds: that the training took until the last of them.
    """

    steps: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    seconds: float = 0.0


def rate(steps: int, warmup: float, step: int) -> float:
    """A step's learning rate in parts of the greatest: up along a line, down to zero along a cosine."""
    return min((step + 1) / max(warmup * steps, 1), (1 + math.cos(math.pi * step / steps)) / 2)


def train(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    score: Callable[[], float],
    *,
    examples: int,
    budget: Budget,
    generator: torch.Generator,
    progress: Callable[[str], object] = lambda _: None,
    state: Path | None = None,
) -> Curve:
    """Train a model, and give it the parameters it had when it did best on the validation set.

    Args:
        model: what is trained, with AdamW.
        loss: from the numbers of a batch's examples to a scalar.
        score: of the validation set, higher is better; called twenty times, the model in evaluation mode.
        examples: number of training examples.
        budget: how long.
        generator: where the order of examples comes from.
        progress: called with a line a score.
        state: a file that is written at every score, and gone on from where it is there: on the CPU, what was
            interrupted ends as if it had not been.

    Raises:
        EncoderError: the file cannot be written, or is not of this training.
    """
    steps = budget.steps
    training = _Training(model, budget, generator)
    if state is not None and state.is_file():
        training.read(state)
    for step in range(training.step + 1, steps + 1):
        rows = training.batch(examples)
        model.train()
        training.optimiser.zero_grad()
        torch.autograd.backward(loss(rows))
        nn.utils.clip_grad_norm_(model.parameters(), budget.clip)
        training.optimiser.step()
        training.schedule.step()
        training.step = step
        if step % max(steps // 20, 1) == 0 or step == steps:
            model.eval()
            with torch.no_grad():
                training.scored(score())
            if state is not None:
                training.write(state)
            progress(f"step {step:,} of {steps:,}, validation {training.curve.scores[-1]:.4f}")
    model.load_state_dict(training.best)
    model.eval()
    return training.curve


class _Training:
    """All that a training goes on from: parameters, optimiser, order of examples, random numbers, scores."""

    def __init__(self, model: nn.Module, budget: Budget, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=budget.learning_rate, weight_decay=budget.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, partial(rate, budget.steps, budget.warmup)
        )
        self.step = 0
        self.curve = Curve()
        self._since = time.monotonic()
        self.best = copy.deepcopy(model.state_dict())
        self._batch = budget.batch
        self._pool = torch.empty(0, dtype=torch.long)

    def batch(self, examples: int) -> Tensor:
        """The next batch's examples; an epoch's last ones are left out where they fill no batch."""
        if len(self._pool) < min(self._batch, examples):
            self._pool = torch.randperm(examples, generator=self.generator)
        rows, self._pool = self._pool[: self._batch], self._pool[self._batch :]
        return rows

    def scored(self, found: float) -> None:
        if not self.curve.scores or found > max(self.curve.scores):
            self.best = copy.deepcopy(self.model.state_dict())
        self.curve.steps.append(self.step)
        self.curve.scores.append(found)
        now = time.monotonic()
        self.curve.seconds += now - self._since
        self._since = now

    def write(self, path: Path) -> None:
        parts = {
            "step": self.step,
            "curve": asdict(self.curve),
            "best": self.best,
            "pool": self._pool,
            "order": self.generator.get_state(),
            "random": torch.get_rng_state(),
            **{name: part.state_dict() for name, part in self._stateful().items()},
        }
        content = io.BytesIO()
        torch.save(parts, content)
        write_whole(path, content.getvalue())

    def read(self, path: Path) -> None:
        try:
            parts = torch.load(path, map_location="cpu", weights_only=True)
            for name, part in self._stateful().items():
                part.load_state_dict(parts[name])
            self.step, self.curve, self.best = parts["step"], Curve(**parts["curve"]), parts["best"]
            self._pool = parts["pool"]
            self.generator.set_state(parts["order"])
            torch.set_rng_state(parts["random"])
        except _UNREADABLE as error:
            reason = str(error).partition("\n")[0]
            raise EncoderError(
                f"cannot go on from {path}: {type(error).__name__}: {reason}",
                remedy="delete the file, to train this run from its start",
            ) from error

    def _stateful(self) -> dict[str, Any]:
        return {"model": self.model, "optimiser": self.optimiser, "schedule": self.schedule}


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest logit is their label's."""
    return float((logits.argmax(1) == labels).double().mean())
