"""Lightning and torchmetrics, the extra ``train``: checked for, and kept quiet."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wsgraph.errors import MissingDependencyError
from wsgraph.frontends.libraries import import_library

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quiet_lightning", "require_packages"]

_HINTS = (
    r".*does not have many workers.*",
    r".*The number of training batches.*",
    r".*GPU available but not used.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*Trying to infer the `batch_size`.*",
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning's own use of a torch function that is renamed
)


def require_packages(*names: str) -> None:
    """Check that packages of the extra ``train`` are there, and import them.

    Raises:
        MissingDependencyError: one is not installed.
    """
    if find_spec("torchvision"):
        # First, by itself: it may fail at first, and what imports it on the way would be left half imported.
        with suppress(ImportError):
            import_library("torchvision")
    for name in names:
        if find_spec(name) is None:
            raise MissingDependencyError(
                f"this needs {name}, which is not installed", remedy="pip install 'wsgraph[train]'"
            )
        import_library(name)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning tells about its own settings; warnings of anything else are left alone."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    with warnings.catch_warnings():
        for hint in _HINTS:
            warnings.filterwarnings("ignore", message=hint)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
