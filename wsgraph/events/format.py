"""What writer and reader of ``.wsg`` files agree on.

A ``.wsg`` file is a safetensors file. It holds the model's tensors under their own names (tied ones once),
index tensors under a reserved prefix, and in its metadata one JSON document:

    {"format": "wsgraph", "version": 1, "weights": "inline" | "reference", "structure": {...}, "sha256": ...}

The digest covers the rest of the document. With ``"reference"`` no tensor of the model is in the file; the
structure's ``origin`` says where they came from and its tensor specifications what they are called.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wsgraph.events.fingerprint import canonical_json

if TYPE_CHECKING:
    from wsgraph.events.encode import JsonObject

__all__ = ["FORMAT", "INDEX_PREFIX", "METADATA_KEY", "SAFETENSORS_DTYPES", "VERSION", "document_digest"]

FORMAT = "wsgraph"
VERSION = 1
METADATA_KEY = "wsgraph"
INDEX_PREFIX = "__wsgraph__.index."

SAFETENSORS_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
"""Names of dtypes in a safetensors header, and torch's names for them."""


def document_digest(document: JsonObject) -> str:
    """SHA-256 (hexadecimal) of a document without its own digest."""
    body = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()
