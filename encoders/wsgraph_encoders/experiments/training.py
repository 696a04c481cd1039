"""A training loop with validation: the best state on the validation set is kept (App. G.1.3)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget", "Curve", "accuracy", "rate", "train"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train.

    Attributes:
        steps: number of steps.
        batch: examples a step, drawn epoch by epoch.
        learning_rate: the greatest; see :func:`rate`.
        warmup: share of the steps over which the learning rate rises.
        clip: largest norm of a step's gradient.
    """

    steps: int
    batch: int
    learning_rate: float
    warmup: float = 0.1
    clip: float = 0.5


@dataclass(slots=True)
class Curve:
    """How a validation score went.

    Attributes:
        steps: when it was measured.
        scores: what it was; higher is better.
    """

    steps: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


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
) -> Curve:
    """Train a model, and give it the parameters it had when it did best on the validation set.

    Args:
        model: what is trained, with Adam.
        loss: from the numbers of a batch's examples to a scalar.
        score: of the validation set, higher is better; called twenty times, the model in evaluation mode.
        examples: number of training examples.
        budget: how long.
        generator: where the order of examples comes from.
        progress: called with a line a score.
    """
    steps = budget.steps
    optimiser = torch.optim.Adam(model.parameters(), lr=budget.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate, steps, budget.warmup))
    curve, best, pool = Curve(), copy.deepcopy(model.state_dict()), torch.empty(0, dtype=torch.long)
    for step in range(1, steps + 1):
        if len(pool) < min(budget.batch, examples):
            pool = torch.randperm(examples, generator=generator)
        rows, pool = pool[: budget.batch], pool[budget.batch :]
        model.train()
        optimiser.zero_grad()
        torch.autograd.backward(loss(rows))
        nn.utils.clip_grad_norm_(model.parameters(), budget.clip)
        optimiser.step()
        schedule.step()
        if step % max(steps // 20, 1) == 0 or step == steps:
            model.eval()
            with torch.no_grad():
                found = score()
            if not curve.scores or found > max(curve.scores):
                best = copy.deepcopy(model.state_dict())
            curve.steps.append(step)
            curve.scores.append(found)
            progress(f"step {step:,} of {steps:,}, validation {found:.4f}")
    model.load_state_dict(best)
    model.eval()
    return curve


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest logit is their label's."""
    return float((logits.argmax(1) == labels).double().mean())
