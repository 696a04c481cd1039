"""What may be trained: architectures and hyperparameters, drawn from a seed.

A *group* is a handful of models of one architecture that are trained together; its members differ in all
else. Group and member are drawn from the zoo's seed and their own numbers only, so that a longer zoo starts
with the models of a shorter one.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from wsgraph.zoo.models.cnn import ParkCNN
from wsgraph.zoo.models.vit import SimpleViT

if TYPE_CHECKING:
    from torch import nn

    from wsgraph.zoo.kinds import Kind

__all__ = ["GROUP_SIZES", "Config", "Member", "build", "draw_architecture", "draw_member"]

Config: TypeAlias = dict[str, Any]

GROUP_SIZES: dict[str, int] = {"siren": 64, "vit": 16, "cnn": 16, "park": 6}
"""Models a group; a Wild Park has many architectures, so its groups are small."""

_ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid", "leaky_relu")
_CLASSES = 10
_SMALL_SIDE = 16


@dataclass(frozen=True, slots=True)
class Member:
    """How one model is trained.

    Attributes:
        seed: of its initial weights, its share of the data, its label noise and its batches.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        init_scale: factor on the initial weight matrices and kernels.
        data_fraction: share of the training images that it sees.
        label_noise: share of those whose label is replaced by a random one.
        epochs: when it stops; an epoch is as many steps as go through all training images once.
    """

    seed: int
    lr: float
    weight_decay: float
    init_scale: float
    data_fraction: float
    label_noise: float
    epochs: int


def draw_architecture(kind: Kind, seed: int, group: int, side: int) -> Config:
    """The architecture of a group, as the arguments of its class.

    Args:
        kind: ``vit``, ``cnn`` or ``park``.
        seed: the zoo's.
        group: number of the group.
        side: of the images, pixels.
    """
    draw = random.Random(f"{seed} {kind} group {group}")  # noqa: S311  nothing secret is drawn
    if kind == "vit":
        dim, heads = draw.choice((16, 24, 32)), draw.choice((1, 2, 4))
        return {
            "image_size": side,
            "patch_size": side // 4,
            "num_classes": _CLASSES,
            "channels": 1,
            "dim": dim,
            "depth": draw.choice((1, 2, 3)),
            "heads": heads,
            "dim_head": draw.choice((8, 16)),
            "mlp_dim": dim * draw.choice((1, 2)),
        }
    return _regular(draw) if kind == "cnn" else _park(draw, side)


def _regular(draw: random.Random) -> Config:
    depth, width = draw.choice((2, 3, 4)), draw.choice((8, 12, 16, 24))
    return {
        "channels": [1, *[width] * depth],
        "kernel_size": [3] * depth,
        "stride": [2] * min(depth, 3) + [1] * max(depth - 3, 0),
        "padding": [1] * depth,
        "activations": [draw.choice(_ACTIVATIONS)] * depth,
        "residual": [-1] * depth,
        "n_classes": _CLASSES,
    }


def _park(draw: random.Random, side: int) -> Config:
    """The first layers stride where images are large; residuals join layers whose outputs have one size."""
    depth = draw.choice((3, 4, 5))
    kernels = [draw.choice((3, 5, 7)) for _ in range(depth)]
    strides = 2 if side > _SMALL_SIDE else 0
    first = max(strides - 1, 0)  # the first layer whose output is as large as all later ones
    residual = [draw.choice((-1, *range(first, layer - 1))) for layer in range(depth)]
    return {
        "channels": [1, *(draw.choice((4, 8, 16)) for _ in range(depth))],
        "kernel_size": kernels,
        "stride": [2] * strides + [1] * (depth - strides),
        "padding": [kernel // 2 for kernel in kernels],
        "activations": [draw.choice(_ACTIVATIONS) for _ in range(depth)],
        "residual": residual,
        "n_classes": _CLASSES,
    }


def draw_member(kind: Kind, seed: int, number: int, max_epochs: int) -> Member:
    """How model ``number`` of the zoo is trained."""
    draw = random.Random(f"{seed} {kind} model {number}")  # noqa: S311  nothing secret is drawn
    return Member(
        seed=draw.randrange(2**31),
        lr=_log_uniform(draw, 3e-4, 1e-2),
        weight_decay=draw.choice((0.0, _log_uniform(draw, 1e-4, 1e-1))),
        init_scale=_log_uniform(draw, 0.5, 2.0),
        data_fraction=_log_uniform(draw, 0.05, 1.0),
        label_noise=draw.choice((0.0, draw.uniform(0.0, 0.5))),
        epochs=round(_log_uniform(draw, 1, max_epochs)),
    )


def _log_uniform(draw: random.Random, low: float, high: float) -> float:
    return math.exp(draw.uniform(math.log(low), math.log(high)))


def build(kind: Kind, config: Config) -> nn.Module:
    """A network of an architecture, initialised from torch's random state."""
    return SimpleViT(**config) if kind == "vit" else ParkCNN(**config)
