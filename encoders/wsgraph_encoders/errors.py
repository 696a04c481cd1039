"""Errors of the encoders, beside those of :mod:`wsgraph.errors`."""

from wsgraph.errors import WsgraphError

__all__ = ["EncoderError"]


class EncoderError(WsgraphError):
    """An encoder's configuration, parameters or input do not go together."""
