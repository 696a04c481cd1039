"""The fingerprint: one hash for all checkpoints of one architecture (DESIGN section 6)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from wsgraph.events.encode import JsonObject, encode_structure

if TYPE_CHECKING:
    from wsgraph.events.structure import Structure

__all__ = ["NOTES_PREFIX", "canonical_json", "structure_fingerprint"]

NOTES_PREFIX = "symmetry."
"""Index tensors that only the notes on symmetries in ``meta`` refer to."""


def canonical_json(value: JsonObject) -> str:
    """JSON in which equal values have equal texts: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def structure_fingerprint(structure: Structure) -> str:
    """SHA-256 (hexadecimal) over blocks, tensors without dtypes, recipes and the index tensors' bytes.

    ``meta`` is left out, and the tables that only it refers to: it tells of one compilation, and what an
    input's shape changes stands in the blocks.
    """
    document = encode_structure(structure)
    for tensor in document["tensors"]:
        del tensor["dtype"]
    del document["meta"]
    document["indices"] = [i for i in document["indices"] if not i["name"].startswith(NOTES_PREFIX)]
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
