"""Which frontend opens a model: the first plugin's that knows it, else the built-in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.errors import PluginError
from wsgraph.frontends.source import Source, open_source

if TYPE_CHECKING:
    from wsgraph.lowering.registry import Registry

__all__ = ["open_model"]


def open_model(source: Any, registry: Registry, **arguments: Any) -> Source:
    """Open a model for the tracer.

    Args:
        source: what the user passes as a model; plugins may know kinds that the built-in frontend does not.
        registry: what the plugins register.
        **arguments: ``inputs``, ``arch`` and ``allow``, as for :func:`open_source`.

    Raises:
        SourceError: the source cannot be found, read or recognised.
        PluginError: a plugin's frontend returns something that is no source.
    """
    for entry in registry.frontends:
        opened: object = entry.function(source, **arguments)
        if isinstance(opened, Source):
            return opened
        if opened is not None:
            raise PluginError(
                f"the frontend {entry.key!r} of the plugin {entry.owner} returns a {type(opened).__name__}, "
                "expected a Source, or None for a model that is not of its kind",
                remedy=f"switch the plugin off: WSGRAPH_DISABLE_PLUGINS={entry.owner}",
            )
    return open_source(source, **arguments)
