"""Where independent pieces of work run: in this process, or on a Ray cluster (DESIGN section 9)."""

from __future__ import annotations

from wsgraph.engines.interface import Engine, EngineName, engine_of
from wsgraph.engines.local import LocalEngine

__all__ = ["Engine", "EngineName", "LocalEngine", "engine_of"]
