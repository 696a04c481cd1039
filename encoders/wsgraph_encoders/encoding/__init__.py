"""Encoding a whole zoo: ``wsgraph encode``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.lazy_names import lazy_names

if TYPE_CHECKING:
    from wsgraph_encoders.encoding.choice import EncoderChoice
    from wsgraph_encoders.encoding.encode import EncodeReport, encode_zoo

__all__ = ["EncodeReport", "EncoderChoice", "encode_zoo"]

_HOMES = {"EncodeReport": "encode", "EncoderChoice": "choice", "encode_zoo": "encode"}


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
