"""Reads ``.pt``/``.pth`` pickles without executing anything that they contain (DESIGN section 3)."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from typing import TYPE_CHECKING

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from wsgraph.errors import CheckpointError, SourceError, UnsafeCheckpointError, WsgraphError
from wsgraph.frontends.quiet import first_line
from wsgraph.frontends.trust import grants

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["load_pickle"]

_RESAVE = "save the model again with torch.save(model.state_dict(), path) of a current torch"


def load_pickle(path: Path, allow: Sequence[str] = ()) -> object:
    """Load what ``torch.save`` wrote; tensors are memory-mapped where the format allows.

    Args:
        path: the file.
        allow: packages whose classes may be used beside the trusted ones.

    Returns:
        The object saved: a module, a state dict, or a dict around one.

    Raises:
        UnsafeCheckpointError: if the file asks for anything that is not trusted.
        CheckpointError: if the file is empty, damaged, or no checkpoint at all.
        SourceError: if it is a TorchScript archive.
    """
    zipped = _check_container(path)
    try:
        # Files of torch < 1.6 name classes in a way that the unpickler never accepts: nothing to grant.
        needed = get_unsafe_globals_in_checkpoint(path) if zipped else []
        granted = [grant for name in sorted(needed) for grant in grants(name, allow, path.name)]
        with safe_globals(granted), warnings.catch_warnings():  # type: ignore[arg-type]  # any object will do
            warnings.simplefilter("ignore")  # about deprecated storage classes, not about the file's content
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except WsgraphError:
        raise
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f"{path.name} cannot be loaded without running code from it: {error.__context__ or error}",
            remedy=_RESAVE,
        ) from error
    except Exception as error:  # a damaged file fails in every way there is
        raise CheckpointError(
            f"{path.name} cannot be read as a torch checkpoint ({first_line(error)})",
            remedy=f"check that the file is complete; otherwise {_RESAVE}",
        ) from error


def _check_container(path: Path) -> bool:
    """Whether the file is a zip archive (torch >= 1.6); errors for files that are no checkpoint."""
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(f"{path.name} is empty", remedy="save or download it again")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            head = file.read(4)
        if head.startswith(b"PK"):
            raise CheckpointError(
                f"{path.name} is truncated: a zip archive without its end, {size} bytes",
                remedy="save or download it again",
            )
        if head[:1] != b"\x80":
            raise CheckpointError(
                f"{path.name} is no torch checkpoint: it is neither a zip archive nor a pickle",
                remedy="pass a file that torch.save wrote, or name its format by its suffix",
            )
        return False
    with zipfile.ZipFile(path) as archive:
        members = {name.rpartition("/")[2] for name in archive.namelist()}
    if "constants.pkl" in members:
        raise SourceError(
            f"{path.name} is a TorchScript archive, which holds compiled code",
            remedy="pass the nn.Module's state dict with --arch, or a torch.export program (.pt2)",
        )
    return True
