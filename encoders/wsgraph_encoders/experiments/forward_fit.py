"""Section 7: how well static and dynamic message passing follow a network's forward pass (Figure 5)."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wsgraph_encoders.experiments.activation_models import DynamicFit, StaticFit
from wsgraph_encoders.experiments.devices import choose_device
from wsgraph_encoders.experiments.random_mlps import FitData, random_mlps
from wsgraph_encoders.experiments.results import Results, told
from wsgraph_encoders.experiments.training import rate
from wsgraph_encoders.plots.figures import new_figure, write_figure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsgraph_encoders.experiments.devices import DeviceName

__all__ = ["ForwardFitSettings", "forward_fit", "summarise"]

_MODELS = ("static", "dynamic")


@dataclass(frozen=True, slots=True)
class ForwardFitSettings:
    """Sizes of the experiment.

    Attributes:
        train: random networks to train on.
        test: random networks to test on.
        sizes: neurons a layer, inputs first; three layers in the paper.
        inputs: inputs sampled a network.
        hidden: width of the encoders' features.
        epochs: passes over the training networks.
        batch: examples a step.
        learning_rate: of Adam, for both models; it rises over the warm-up and falls to zero along a cosine.
        warmup: share of the steps over which the learning rate rises.
        clip: largest norm of a step's gradient. Errors of early steps are large where activations are: left
            as they are, some runs of either model end in a poor optimum.
        shared: one φ_m and φ_u for all steps of either model ("the same" of section 7), or one a step.
        read_steps: read layer l of the static model after round l, not at the end.
    """

    train: int = 1000
    test: int = 500
    sizes: tuple[int, ...] = (4, 6, 6, 6)
    inputs: int = 4
    hidden: int = 32
    epochs: int = 40
    batch: int = 64
    learning_rate: float = 5e-3
    warmup: float = 0.1
    clip: float = 0.5
    shared: bool = True
    read_steps: bool = False


def forward_fit(
    folder: Path,
    settings: ForwardFitSettings,
    seeds: int,
    progress: Callable[[str], object],
    *,
    device: DeviceName = "auto",
) -> dict[str, Any]:
    """Run what is not done yet; write ``forward_fit.json`` and ``forward_fit.png``.

    Args:
        folder: where results are kept, run by run.
        settings: sizes.
        seeds: repetitions, each with networks and initial parameters of its own.
        progress: called with a line for people.
        device: where to compute; a GPU, if there is one.

    Returns:
        The settings, all runs, and a summary.

    Raises:
        EncoderError: the folder cannot be used, or holds results of other settings, or there is no GPU
            where one is asked for.
    """
    place = choose_device(device)
    results = Results(folder / "forward_fit.json", asdict(settings))
    for seed in range(seeds):
        for name in _MODELS:
            run = f"{name}-{seed}"
            if run not in results.runs:
                mse = _run(name, settings, seed, place, partial(told, progress, run))
                results.add(run, {"model": name, "seed": seed, "mse": mse})
                progress(f"{run}: test MSE a layer " + ", ".join(f"{value:.5f}" for value in mse))
    runs = {f"{name}-{seed}": results.runs[f"{name}-{seed}"] for name in _MODELS for seed in range(seeds)}
    summary = summarise(runs)
    _plot(summary, folder / "forward_fit.png")
    return {"settings": results.settings, "runs": runs, "summary": summary}


def summarise(runs: dict[str, Any]) -> dict[str, Any]:
    """Mean and standard deviation of the test MSE a layer over seeds, and static over dynamic."""
    found: dict[str, Any] = {}
    for name in _MODELS:
        layers = list(zip(*(run["mse"] for run in runs.values() if run["model"] == name), strict=True))
        spread = [statistics.stdev(layer) if len(layer) > 1 else 0.0 for layer in layers]
        found[name] = {"mean": [statistics.fmean(layer) for layer in layers], "deviation": spread}
    pairs = zip(found["static"]["mean"], found["dynamic"]["mean"], strict=True)
    return {**found, "static_over_dynamic": [static / dynamic for static, dynamic in pairs]}


def _run(
    name: str,
    settings: ForwardFitSettings,
    seed: int,
    device: torch.device,
    progress: Callable[[str], object],
) -> list[float]:
    """Train one model and test it: MSE a layer. Both models of a seed see the same networks."""
    generator = torch.Generator().manual_seed(seed)
    train = random_mlps(settings.train, settings.sizes, settings.inputs, generator).to(device)
    test = random_mlps(settings.test, settings.sizes, settings.inputs, generator).to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _model(name, settings).to(device)
    _train(model, train, settings, generator, progress)
    with torch.no_grad():
        errors = torch.stack(
            [_errors(model, test[start : start + 500]).cpu() for start in range(0, len(test), 500)]
        )
        sizes = torch.tensor([len(test[start : start + 500]) for start in range(0, len(test), 500)])
        mse: list[float] = ((errors * sizes.unsqueeze(1)).sum(0) / sizes.sum()).tolist()
    return mse


def _model(name: str, settings: ForwardFitSettings) -> nn.Module:
    layers = len(settings.sizes) - 1
    if name == "static":
        return StaticFit(layers, settings.hidden, shared=settings.shared, read_steps=settings.read_steps)
    return DynamicFit(layers, settings.hidden, shared=settings.shared)


def _train(
    model: nn.Module,
    data: FitData,
    settings: ForwardFitSettings,
    generator: torch.Generator,
    progress: Callable[[str], object],
) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * -(-len(data) // settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate, steps, settings.warmup))
    for epoch in range(settings.epochs):
        total = torch.zeros(len(data.weights))
        batches = torch.split(torch.randperm(len(data), generator=generator), settings.batch)
        for rows in batches:
            optimiser.zero_grad()
            errors = _errors(model, data[rows])
            torch.autograd.backward(errors.sum())
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimiser.step()
            schedule.step()
            total += errors.detach().cpu()
        if (epoch + 1) % max(settings.epochs // 6, 1) == 0:
            mean = ", ".join(f"{value:.5f}" for value in (total / len(batches)).tolist())
            progress(f"epoch {epoch + 1} of {settings.epochs}, training MSE a layer {mean}")


def _errors(model: nn.Module, data: FitData) -> torch.Tensor:
    """MSE a layer, ``[layers]``."""
    predicted = model(data)
    return torch.stack([(p - a).square().mean() for p, a in zip(predicted, data.activations, strict=True)])


def _plot(summary: dict[str, Any], path: Path) -> None:
    figure, axes = new_figure()
    for name in _MODELS:
        mean, spread = summary[name]["mean"], summary[name]["deviation"]
        axes.errorbar(
            range(1, len(mean) + 1), mean, spread, marker="o", capsize=3, label=f"{name} neural graph"
        )
    axes.set(
        xlabel="layer", ylabel="test MSE", yscale="log", title="Fitting activations (section 7, Figure 5)"
    )
    axes.set_xticks(range(1, len(summary["static"]["mean"]) + 1))
    axes.legend()
    write_figure(figure, path)
