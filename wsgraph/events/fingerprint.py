"""The fingerprint: one hash for all checkpoints of one architecture (DESIGN section 6)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from wsgraph.events.encode import JsonObject, encode_structure

if TYPE_CHECKING:
    from wsgraph.events.structure import Structure

__all__ = ["canonical_json", "structure_fingerprint"]

# What a structure says of one checkpoint or one compilation rather than of the architecture.
_NOT_ARCHITECTURE = frozenset({"frontend", "notes", "origin", "version"})


def canonical_json(value: JsonObject) -> str:
    """JSON in which equal values have equal texts: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def structure_fingerprint(structure: Structure) -> str:
    """SHA-256 (hexadecimal) over blocks, tensors without dtypes, recipes and the index tensors' bytes."""
    document = encode_structure(structure)
    for tensor in document["tensors"]:
        del tensor["dtype"]
    document["meta"] = {
        name: value for name, value in document["meta"].items() if name not in _NOT_ARCHITECTURE
    }
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
