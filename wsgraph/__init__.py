"""wsgraph: any trained network becomes a stream of timestamped graph events whose edges are its weights.

The public names are loaded on first use (PEP 562), so ``import wsgraph`` does not import torch and a
plugin module may import it at its top for nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgraph.compiler import compile  # noqa: A004  the API's name; re-exported, never called here
    from wsgraph.errors import WsgraphError
    from wsgraph.events.file import load
    from wsgraph.events.stream import EventStream
    from wsgraph.lowering.hookspecs import hookimpl
    from wsgraph.options import CompileOptions
    from wsgraph.symmetry.analysis import symmetries
    from wsgraph.symmetry.permute import permute
    from wsgraph.verification.verify import verify

__all__ = [
    "CompileOptions",
    "EventStream",
    "WsgraphError",
    "__version__",
    "compile",
    "hookimpl",
    "load",
    "permute",
    "symmetries",
    "verify",
]

__version__ = "0.1.0"

_HOMES = {
    "CompileOptions": "wsgraph.options",
    "EventStream": "wsgraph.events.stream",
    "WsgraphError": "wsgraph.errors",
    "compile": "wsgraph.compiler",
    "hookimpl": "wsgraph.lowering.hookspecs",
    "load": "wsgraph.events.file",
    "permute": "wsgraph.symmetry.permute",
    "symmetries": "wsgraph.symmetry.analysis",
    "verify": "wsgraph.verification.verify",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'wsgraph' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
