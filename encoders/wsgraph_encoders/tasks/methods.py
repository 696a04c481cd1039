"""The methods that are compared: names, and the module of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wsgraph_encoders.baselines import FlatMLP, NodeTransformer, StaticConfig, StaticEncoder
from wsgraph_encoders.config import DNGConfig
from wsgraph_encoders.dng import DNGEncoder
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.inr2jls import INR2JLS, INR2JLSConfig
from wsgraph_encoders.tasks.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from wsgraph.events.stream import EventStream
    from wsgraph.zoo.reader import Zoo
    from wsgraph_encoders.inr2jls.config import Variant
    from wsgraph_encoders.tasks.plan import Plan
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.task import Task

__all__ = ["FITTED", "build_model", "check_methods", "left_out", "methods_for"]

_ENCODERS = ("dng", "static", "transformer", "flat")
_VARIANTS: dict[str, Variant] = {
    "inr2jls": "views",
    "inr2jls-plain": "plain",
    "no-generator": "no_generator",
}
FITTED = ("statistics", "epoch", "mean")
"""Methods that are fitted in one go, without Lightning."""


def methods_for(task: Task, *, epochs: bool) -> tuple[str, ...]:
    """The methods of a task: ours first, then the baselines.

    Args:
        task: the task.
        epochs: whether the zoo says how long its models were trained.
    """
    if task.kind == "reconstruct":
        return (*_VARIANTS, "mean")
    return (*_ENCODERS, "statistics", *(("epoch",) if epochs and task.numeric else ()))


def check_methods(chosen: Sequence[str], known: Sequence[str], kind: str) -> None:
    """Refuse methods that a task does not have.

    Raises:
        EncoderError: one is unknown.
    """
    for name in chosen:
        if name not in known:
            raise EncoderError(
                f"there is no method {name!r} for the task {kind!r} on this zoo",
                remedy=f"choose among {', '.join(known)}",
            )


def left_out(plan: Plan, zoo: Zoo, settings: TrainSettings) -> dict[str, str]:
    """Methods that do not fit the models of a zoo, and why."""
    if plan.task.kind == "reconstruct":
        return {}
    reasons = {}
    structures = [zoo.structure(fingerprint) for fingerprint in plan.table["fingerprint"].unique().to_list()]
    if len(structures) > 1:
        reasons["flat"] = f"it reads networks of one architecture only, and the zoo has {len(structures):,}"
    nodes = max(sum(node.size for node in structure.nodes) for structure in structures)
    if nodes > settings.max_nodes:
        reasons["transformer"] = (
            f"networks have up to {nodes:,} nodes, and attention between all pairs is for at most "
            f"{settings.max_nodes:,} (--max-nodes)"
        )
    return reasons


def build_model(method: str, task: Task, settings: TrainSettings, only: EventStream | None) -> nn.Module:
    """A module with fresh parameters, from torch's random state.

    Args:
        method: one that is trained by gradients.
        task: the task.
        settings: sizes.
        only: the architecture, without weights, where there is one only: the DNG-Encoder has a parameter
            set a timestamp then, as in the paper; else one an edge kind.

    Raises:
        EncoderError: the method is for one architecture, and there are several.
    """
    if method in _VARIANTS:
        return _inr2jls(_VARIANTS[method], task, settings, only)
    encoder, width = _encoder(method, settings, only)
    return Predictor(encoder, width, task.outputs, settings.head, settings.dropout)


def _dng_config(settings: TrainSettings) -> DNGConfig:
    """Reads memories of all timestamps: on a few hundred networks the last ones alone learn less."""
    return DNGConfig(
        frequencies=settings.frequencies,
        hidden=settings.hidden,
        edge_width=settings.edge_width,
        readout="mean",
    )


def _encoder(method: str, settings: TrainSettings, only: EventStream | None) -> tuple[nn.Module, int]:
    """An encoder and the width of its embedding."""
    config = StaticConfig(
        frequencies=settings.frequencies,
        hidden=settings.hidden,
        edge_width=settings.edge_width,
        max_nodes=settings.max_nodes,
    )
    if method == "dng":
        sizes = _dng_config(settings)
        if only is None:
            return DNGEncoder(sizes), settings.hidden
        return DNGEncoder(sizes.for_stream(only)), settings.hidden
    if method == "static":
        return StaticEncoder(config), settings.hidden
    if method == "transformer":
        return NodeTransformer(config), settings.hidden
    if only is None:
        raise EncoderError(f"{method!r} is for networks of one architecture")
    return FlatMLP(only, settings.head, settings.dropout), settings.head


def _inr2jls(variant: Variant, task: Task, settings: TrainSettings, only: EventStream | None) -> INR2JLS:
    channels, height, width = task.image_shape
    if only is None:
        raise EncoderError(
            "reconstruction is for INRs of one architecture, and the zoo has several",
            remedy="make a zoo of one of them",
        )
    small = INR2JLSConfig.small()
    config = replace(
        small,
        encoder=replace(_dng_config(settings), frequencies=small.encoder.frequencies, readout="last"),
        grid=(height // 4, width // 4),
        channels=channels,
    )
    return INR2JLS(only, config.variant(variant))
