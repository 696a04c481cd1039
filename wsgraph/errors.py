"""Every error that wsgraph raises on purpose.

One base class, so that only the edge of the program (the CLI, or a caller's ``except WsgraphError``)
has to format it. A message says what is wrong, got against expected, where, and what to do.
"""

__all__ = [
    "CheckpointError",
    "FileFormatError",
    "FrontendError",
    "InputShapeError",
    "LedgerError",
    "LoweringError",
    "MissingDependencyError",
    "PluginError",
    "SourceError",
    "StructureError",
    "UnsafeCheckpointError",
    "UnsupportedOperatorError",
    "WsgraphError",
    "ZooError",
]


class WsgraphError(Exception):
    """Base class of every error raised on purpose.

    Args:
        message: what is wrong, got against expected, where.
        remedy: what the user can do about it; shown on a line of its own.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.remedy}" if self.remedy else self.message


class SourceError(WsgraphError):
    """The model source cannot be found, read or recognised."""


class CheckpointError(SourceError):
    """A checkpoint file is damaged, or matches no architecture."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle asks for a class or function outside the trusted roots."""


class FrontendError(WsgraphError):
    """The model cannot be traced."""


class InputShapeError(FrontendError):
    """Input shapes are missing, malformed, or do not fit the model."""


class LoweringError(WsgraphError):
    """An operator cannot be lowered to graph events."""


class UnsupportedOperatorError(LoweringError):
    """No plugin lowers this operator."""


class LedgerError(LoweringError):
    """A parameter element would be lost."""


class PluginError(WsgraphError):
    """A plugin is misspelt, clashes with another one, or cannot be loaded."""


class StructureError(WsgraphError):
    """An event stream's structure contradicts itself."""


class FileFormatError(WsgraphError):
    """A ``.wsg`` file is damaged, tampered with, or of a newer version."""


class MissingDependencyError(WsgraphError):
    """An optional dependency is not installed."""


class ZooError(WsgraphError):
    """A zoo's folder or table is damaged, or does not hold what is asked for."""
