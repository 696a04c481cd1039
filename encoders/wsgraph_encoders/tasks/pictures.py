"""Reconstructed images beside the true ones, kept for figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from wsgraph_encoders.tasks.folder import writing
from wsgraph_encoders.tasks.objectives import ImageObjective

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from wsgraph_encoders.tasks.data import Examples

__all__ = ["PICTURES", "write_pictures"]

PICTURES = "images.safetensors"
_KEPT = 64
_BATCH = 16


@torch.no_grad()
def write_pictures(folder: Path, model: nn.Module, examples: Examples) -> None:
    """Write ``images.safetensors``: up to 64 test images, ``true`` and ``shown``, ``[n, channels, h, w]``.

    Args:
        folder: of a method and seed.
        model: what shows images.
        examples: the models.
    """
    objective = ImageObjective()
    rooms = examples.rooms("inr2jls", _BATCH)
    pieces = [examples[ids] for ids in examples.ids("test", rooms)[: _KEPT // _BATCH]]
    shown = torch.cat([objective.images(model, piece) for piece in pieces])
    true = torch.cat([piece.targets for piece in pieces])
    with writing(folder / PICTURES) as temporary:
        save_file({"true": true, "shown": shown.clamp(0, 1)}, temporary)
