"""INR2JLS (section 6): a latent space that networks and the images they hold have in common."""

from __future__ import annotations

from wsgraph_encoders.inr2jls.classifiers import FeatureMapClassifier, MemoryClassifier
from wsgraph_encoders.inr2jls.config import INR2JLSConfig
from wsgraph_encoders.inr2jls.model import INR2JLS, Decoded
from wsgraph_encoders.inr2jls.views import VIEWS, view_of

__all__ = [
    "INR2JLS",
    "VIEWS",
    "Decoded",
    "FeatureMapClassifier",
    "INR2JLSConfig",
    "MemoryClassifier",
    "view_of",
]
