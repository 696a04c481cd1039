"""ONNX comes in through the same hook as anybody's frontend."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgraph.errors import MissingDependencyError
from wsgraph.lowering.hookspecs import hookimpl

if TYPE_CHECKING:
    from wsgraph.frontends.source import Source
    from wsgraph.lowering.hookspecs import Frontend, Register

__all__ = ["open_source", "wsgraph_register_frontends"]


def open_source(
    source: Any, *, inputs: Any = None, arch: str | None = None, allow: tuple[str, ...] = ()
) -> Source | None:
    """Open an ``onnx.ModelProto`` or an ``.onnx`` file; None for anything else.

    Raises:
        MissingDependencyError: it is one, and the onnx package is not installed.
        WsgraphError: it cannot be read; see :func:`wsgraph.frontends.onnx.opening.open_onnx`.
    """
    del arch, allow  # an ONNX file brings its architecture, and no code
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.suffix != ".onnx" or not path.is_file():
            return None
        source = path
    elif not _is_model(source):
        return None
    try:
        from wsgraph.frontends.onnx.opening import open_onnx
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "google", "google.protobuf"):
            raise
        raise MissingDependencyError(
            "reading ONNX models needs the onnx package", remedy='pip install "wsgraph[onnx]"'
        ) from error
    return open_onnx(source, inputs)


def _is_model(source: object) -> bool:
    onnx = sys.modules.get("onnx")  # whoever has a ModelProto has imported it
    return onnx is not None and isinstance(source, onnx.ModelProto)


@hookimpl
def wsgraph_register_frontends(register: Register[Frontend]) -> None:
    """The ONNX frontend."""
    register("onnx", open_source)
