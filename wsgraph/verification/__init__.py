"""Proof, by running the model, that a compiled stream says the truth about it (DESIGN section 6)."""

from wsgraph.verification.report import Check, Verification
from wsgraph.verification.verify import verify

__all__ = ["Check", "Verification", "verify"]
