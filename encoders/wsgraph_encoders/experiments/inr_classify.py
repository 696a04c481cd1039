"""Which image does an INR hold? INR2JLS and its alternatives on SIRENs of MNIST (section 8.1, App. B)."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch

import wsgraph
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.experiments.devices import choose_device
from wsgraph_encoders.experiments.inr_methods import METHODS, InrTask, classify_inrs
from wsgraph_encoders.experiments.results import Results, told, write_whole
from wsgraph_encoders.inr2jls import INR2JLSConfig
from wsgraph_encoders.inrs import Siren, canonical, unstack
from wsgraph_encoders.inrs.dataset import Inrs, mnist_sirens
from wsgraph_encoders.plots.figures import new_figure, write_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wsgraph_encoders.experiments.devices import DeviceName

__all__ = ["InrClassifySettings", "inr_classify", "inr_task"]


@dataclass(frozen=True, slots=True)
class InrClassifySettings:
    """Sizes of the study.

    Attributes:
        images: of the 5,000; each becomes a SIREN. A tenth validates, a fifth tests.
        copies: further SIRENs of each training image, from other initialisations (App. G.1.1: 10).
        size: ``small`` for a few CPU cores, ``paper`` for App. G.1.2.
        steps: of reconstruction, and of training an encoder end to end.
        classifier_steps: of classifiers over a frozen encoder.
        batch: networks a step.
        learning_rate: of all training.
        weight_decay: of classifiers over a frozen encoder, AdamW's (App. G.1.3).
        warmup: share of a training's steps over which the learning rate rises.
        clip: largest norm of a step's gradient.
        siren_steps: of fitting each SIREN.
        canonical: take the sine's symmetries out of the SIRENs first, for all methods alike.
    """

    images: int = 5000
    copies: int = 0
    size: Literal["small", "paper"] = "small"
    steps: int = 800
    classifier_steps: int = 400
    batch: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 0.3
    siren_steps: int = 100
    canonical: bool = True


def inr_task(
    folder: Path,
    settings: InrClassifySettings,
    progress: Callable[[str], object],
    *,
    device: DeviceName = "auto",
) -> tuple[InrTask, float]:
    """The SIRENs, fitted where they are not in the folder yet, and the PSNR that they reach on average, dB.

    Args:
        folder: where fitted SIRENs are kept.
        settings: sizes.
        progress: called with lines for people.
        device: where to compute; a GPU, if there is one.

    Raises:
        EncoderError: there are too few images to split, or the folder cannot be used.
        MissingDependencyError: mlxtend is not installed.
    """
    n, place = settings.images, choose_device(device)
    if n < 10:
        raise EncoderError(f"a study needs at least 10 images to split, got {n}")
    train, validation, small = n - n // 10 - n // 5, n // 10, settings.size == "small"
    inrs = _fitted(folder, settings, train, progress)
    compiled = wsgraph.compile(Siren(), "1x2")
    stacked = canonical(inrs.stacked) if settings.canonical else inrs.stacked
    states = unstack({name: tensor.to(place) for name, tensor in stacked.items()})
    streams = [compiled.bind(state) for state in states]
    rows, more = torch.arange(n), torch.arange(n, len(inrs.labels))
    task = InrTask(
        streams,
        inrs.images.to(place),
        inrs.labels.to(place),
        (torch.cat([rows[:train], more]), rows[train : train + validation], rows[train + validation :]),
        INR2JLSConfig.small() if small else INR2JLSConfig.paper(),
        # A narrow classifier does not learn its training networks with the paper's dropout.
        hidden=64 if small else 256,
        conv_dropout=0.2 if small else 0.5,
        steps=settings.steps,
        classifier_steps=settings.classifier_steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup=settings.warmup,
        clip=settings.clip,
    )
    return task, float(inrs.psnr().mean())


def _fitted(
    folder: Path, settings: InrClassifySettings, train: int, progress: Callable[[str], object]
) -> Inrs:
    """A SIREN of each image, then the copies of the first ``train``."""
    counts = [settings.images, *[train] * settings.copies]
    inrs = [
        mnist_sirens(folder, count, seed, settings.siren_steps, progress) for seed, count in enumerate(counts)
    ]
    return Inrs(
        {name: torch.cat([each.stacked[name] for each in inrs]) for name in inrs[0].stacked},
        torch.cat([each.images for each in inrs]),
        torch.cat([each.labels for each in inrs]),
    )


def inr_classify(
    folder: Path,
    settings: InrClassifySettings,
    methods: Sequence[str],
    seeds: int,
    progress: Callable[[str], object],
    *,
    sirens: Path | None = None,
    device: DeviceName = "auto",
) -> dict[str, Any]:
    """Run what is not done yet; write ``inr_classify.json``, ``.md`` and ``.png``.

    Args:
        folder: where results are kept, run by run; a run that is not done has its trainings' states in
            ``unfinished``, and goes on from there.
        settings: sizes.
        methods: some of ``METHODS``.
        seeds: repetitions of each.
        progress: called with lines for people.
        sirens: where fitted SIRENs are kept; ``sirens`` in the folder by default.
        device: where to compute; a GPU, if there is one.

    Returns:
        Settings, the SIRENs' mean PSNR, all runs, and a summary.

    Raises:
        EncoderError: a method is unknown, or the folder cannot be used or holds results of other settings, or
            there is no GPU where one is asked for.
        MissingDependencyError: mlxtend or matplotlib is not installed.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise EncoderError(f"there is no method {unknown[0]!r}", remedy=f"choose among {', '.join(METHODS)}")
    results = Results(folder / "inr_classify.json", asdict(settings))
    task, quality = inr_task(sirens or folder / "sirens", settings, progress, device=device)
    results.start()
    wanted = [(seed, method) for seed in range(seeds) for method in methods]
    for seed, method in wanted:
        run = f"{method}-{seed}"
        if run not in results.runs:
            kept = folder / "unfinished" / run
            outcome = classify_inrs(task, method, seed, partial(told, progress, run), kept=kept)
            seconds = round(outcome.curve.seconds + outcome.reconstruction.seconds, 1)
            results.add(run, {"method": method, "seed": seed, "seconds": seconds, **asdict(outcome)})
            shutil.rmtree(kept, ignore_errors=True)
            progress(f"{run}: test accuracy {outcome.test:.4f} after {seconds:.0f} s")
    runs = {f"{method}-{seed}": results.runs[f"{method}-{seed}"] for seed, method in wanted}
    summary = {method: _summary([r for r in runs.values() if r["method"] == method]) for method in methods}
    write_whole(folder / "inr_classify.md", _table(summary))
    _plot(runs, methods, folder / "inr_classify.png")
    return {"settings": results.settings, "siren_psnr": quality, "runs": runs, "summary": summary}


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    tests = [run["test"] for run in runs]
    deviation = statistics.stdev(tests) if len(tests) > 1 else 0.0
    seconds = statistics.fmean(run["seconds"] for run in runs)
    common = {"parameters": runs[0]["parameters"], "seconds": seconds, "seeds": len(tests)}
    return {"mean": statistics.fmean(tests), "deviation": deviation, **common}


def _table(summary: dict[str, dict[str, Any]]) -> str:
    lines = ["| method | test accuracy, % | seeds | parameters | seconds a run |", "|---|---|---|---|---|"]
    for method, row in summary.items():
        score = f"{100 * row['mean']:.1f} ± {100 * row['deviation']:.1f}"
        lines.append(
            f"| {method} | {score} | {row['seeds']} | {row['parameters']:,} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _plot(runs: dict[str, Any], methods: Sequence[str], path: Path) -> None:
    """Validation accuracy over the part of training done; one line a run, one colour a method."""
    figure, axes = new_figure(6, 4)
    for number, method in enumerate(methods):
        chosen = [run for run in runs.values() if run["method"] == method]
        for place, run in enumerate(chosen):
            steps, scores = run["curve"]["steps"], run["curve"]["scores"]
            label = method if place == 0 else None
            axes.plot([s / steps[-1] for s in steps], scores, color=f"C{number}", label=label)
    axes.set(xlabel="share of the classifier's training", ylabel="validation accuracy")
    axes.legend()
    write_figure(figure, path)
