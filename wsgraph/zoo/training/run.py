"""``zoo train``: groups of models, trained one after the other and committed one after the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.compiler import compile as compile_model
from wsgraph.errors import ZooError
from wsgraph.zoo.models.siren import Siren
from wsgraph.zoo.table import label_value
from wsgraph.zoo.training.classifiers import train_group
from wsgraph.zoo.training.images import ImageSet, load_images
from wsgraph.zoo.training.recipes import GROUP_SIZES, build, draw_architecture, draw_member
from wsgraph.zoo.training.sirens import fit_sirens
from wsgraph.zoo.writer import ModelRecord, ZooWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from torch import Tensor, nn

    from wsgraph.zoo.kinds import Images, Kind
    from wsgraph.zoo.table import Label

__all__ = ["TrainingPlan", "train_zoo"]

_SIREN_LR = 5e-3


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to train; a plan gives the same models whenever it is carried out on one kind of machine.

    Attributes:
        kind: of networks.
        images: what they learn.
        count: number of models.
        seed: everything is drawn from it.
        max_epochs: classifiers stop after 1 to so many epochs.
        steps: of Adam, for SIRENs.
    """

    kind: Kind
    images: Images
    count: int
    seed: int = 0
    max_epochs: int = 12
    steps: int = 300

    @property
    def source(self) -> str:
        """The command that makes such models, whatever their number."""
        length = f"--steps {self.steps}" if self.kind == "siren" else f"--max-epochs {self.max_epochs}"
        return f"wsgraph zoo train {self.kind} --images {self.images} --seed {self.seed} {length}"


def train_zoo(
    plan: TrainingPlan,
    out: str | PathLike[str],
    *,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Add the plan's models to a zoo, those that it has already left out; returns how many were trained.

    Finished groups are committed, so a killed training goes on with the first unfinished group.

    Args:
        plan: what to train.
        out: the zoo; made if there is none.
        device: ``cpu``, ``cuda``; a GPU if there is one when left out.
        progress: called with the number of models done and to do.

    Raises:
        ZooError: the zoo cannot be written, or has models of the same names from another plan.
        MissingDependencyError: the images' package is not installed.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    images, size, trained = load_images(plan.images), GROUP_SIZES[plan.kind], 0
    with ZooWriter(out, {"command": plan.source, "count": plan.count}) as writer:
        for first in range(0, plan.count, size):
            numbers = range(first, min(first + size, plan.count))
            if progress:
                progress(first, plan.count)
            if all(_is_done(plan, number, writer) for number in numbers):
                continue
            group = _sirens if plan.kind == "siren" else _classifiers
            module, models = group(plan, first, numbers, images, place)
            trained += _add(plan, module, models, images, writer)
            writer.commit()
    if progress:
        progress(plan.count, plan.count)
    return trained


@dataclass(frozen=True, slots=True)
class _Finished:
    number: int
    run: str | None
    weights: dict[str, Tensor]
    labels: dict[str, Label]


def _name(plan: TrainingPlan, number: int) -> str:
    return f"{plan.kind}-{plan.images}-{plan.seed}-{number:06d}"


def _is_done(plan: TrainingPlan, number: int, writer: ZooWriter) -> bool:
    source = writer.source_of(_name(plan, number))
    if source not in {None, plan.source}:
        raise ZooError(
            f"{writer.path} has a model {_name(plan, number)} from `{source}`",
            remedy=f"`{plan.source}` needs another seed, or a zoo of its own",
        )
    return source is not None


def _add(
    plan: TrainingPlan, module: nn.Module, models: Iterator[_Finished], images: ImageSet, writer: ZooWriter
) -> int:
    shape = "1x2" if plan.kind == "siren" else f"1x1x{images.side}x{images.side}"
    structure = compile_model(module, inputs=shape).structure
    added = 0
    for model in models:
        if not _is_done(plan, model.number, writer):
            name = _name(plan, model.number)
            record = ModelRecord(name, plan.source, model.run or name, None, model.labels)
            writer.add(record, structure, model.weights)
            added += 1
    return added


_Group = tuple["nn.Module", "Iterator[_Finished]"]


def _classifiers(
    plan: TrainingPlan, first: int, numbers: range, images: ImageSet, device: torch.device
) -> _Group:
    group = first // GROUP_SIZES[plan.kind]
    architecture = draw_architecture(plan.kind, plan.seed, group, images.side)
    make = partial(build, plan.kind, architecture)
    members = [draw_member(plan.kind, plan.seed, number, plan.max_epochs) for number in numbers]
    trained = train_group(make, members, images, device)

    def finished() -> Iterator[_Finished]:
        for number, member, model in zip(numbers, members, trained, strict=True):
            config: dict[str, Any] = {
                "kind": plan.kind,
                "images": plan.images,
                **architecture,
                **asdict(member),
            }
            labels = {f"config.{name}": label_value(value) for name, value in config.items()}
            yield _Finished(number, None, model.weights, {**model.results, **labels})

    return make(), finished()


def _sirens(
    plan: TrainingPlan, _first: int, numbers: range, images: ImageSet, device: torch.device
) -> _Group:
    pixels, classes = (
        torch.cat([images.train, images.test]),
        torch.cat([images.train_labels, images.test_labels]),
    )
    chosen = [number % len(pixels) for number in numbers]  # a longer zoo fits images again, from other seeds
    seeds = [draw_member("siren", plan.seed, number, 1).seed for number in numbers]
    fitted = fit_sirens(pixels[chosen], seeds, _SIREN_LR, plan.steps, device)

    def finished() -> Iterator[_Finished]:
        for number, image, seed, (weights, psnr) in zip(numbers, chosen, seeds, fitted, strict=True):
            labels: dict[str, Label] = {
                "label": int(classes[image]),
                "image": image,
                "psnr": psnr,
                "config.kind": plan.kind,
                "config.images": plan.images,
                "config.seed": seed,
                "config.lr": _SIREN_LR,
                "config.steps": plan.steps,
            }
            yield _Finished(number, f"{plan.images}-image-{image}", weights, labels)

    return Siren(), finished()
