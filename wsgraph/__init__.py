"""wsgraph: any trained network becomes a stream of timestamped graph events whose edges are its weights.

The public names are loaded on first use, so ``import wsgraph`` does not import torch and a
plugin module may import it at its top for nothing.
"""

from typing import TYPE_CHECKING

from wsgraph.lazy_names import lazy_names

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
    "CompileOptions": "options",
    "EventStream": "events.stream",
    "WsgraphError": "errors",
    "compile": "compiler",
    "hookimpl": "lowering.hookspecs",
    "load": "events.file",
    "permute": "symmetry.permute",
    "symmetries": "symmetry.analysis",
    "verify": "verification.verify",
}


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
