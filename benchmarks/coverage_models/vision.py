"""torchvision: classification, segmentation, video, detection, optical flow, quantizable."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from coverage_models.case import Case, Inputs
from wsgraph.frontends.libraries import import_library

if TYPE_CHECKING:
    from torch import nn

__all__ = ["torchvision_cases"]

IMAGE = "1x3x224x224"
SIZES = {"inception_v3": "1x3x299x299", "quantized_inception_v3": "1x3x299x299"}
CLIPS = ("mc3", "r2plus1d", "r3d", "s3d", "mvit", "swin3d")
CLIP = "1x3x16x224x224"


def build(name: str) -> tuple[nn.Module, Inputs]:
    """A torchvision model without downloads."""
    models = import_library("torchvision.models")
    options: dict[str, Any] = {"weights": None}
    builder = models.get_model_builder(name)
    if "weights_backbone" in inspect.signature(builder).parameters:
        options["weights_backbone"] = None
    return builder(**options), inputs(name)


def inputs(name: str) -> Inputs:
    """What the model takes: an image, a clip, two frames."""
    if name.startswith("raft"):
        # The smallest frames whose correlation pyramid has its four levels.
        return ["1x3x128x128", "1x3x128x128"]
    if name.startswith(CLIPS):
        return CLIP
    return SIZES.get(name, IMAGE)


def torchvision_cases() -> list[Case]:
    """One case a model."""
    names = import_library("torchvision.models").list_models()
    return [Case("torchvision", name, name, partial(build, name)) for name in names]
