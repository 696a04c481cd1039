"""One representative of all SIRENs that differ by the symmetries of the sine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from wsgraph_encoders.inrs.siren import OMEGA, depth_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["canonical"]


def canonical(stacked: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stacked SIRENs that compute the same, with every hidden neuron's bias in [0, π / 2ω₀].

    sin(z + π) = -sin(z) and sin(-z) = -sin(z): a neuron's phase may move by multiples of π, and its incoming
    weights and its bias may change sign, if its outgoing weights change sign with them. Permutations of
    neurons are left as they are; encoders of graphs do not see them.

    Args:
        stacked: ``layers.{l}.weight`` ``[n, out, in]`` and ``layers.{l}.bias`` ``[n, out]``.
    """
    found = dict(stacked)
    for layer in range(depth_of(stacked) - 1):
        weight, bias = found[f"layers.{layer}.weight"], found[f"layers.{layer}.bias"]
        turns = torch.round(OMEGA * bias / math.pi)
        bias = bias - turns * (math.pi / OMEGA)
        sign = torch.where(bias < 0, -1.0, 1.0).to(bias)
        outgoing = sign * (1 - 2 * turns.remainder(2))
        found[f"layers.{layer}.weight"] = weight * sign.unsqueeze(2)
        found[f"layers.{layer}.bias"] = bias * sign
        following = f"layers.{layer + 1}.weight"
        found[following] = found[following] * outgoing.unsqueeze(1)
    return found
