"""Batches of event streams: grouped by architecture, stacked parameter by parameter, never padded."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import CheckpointError, StructureError
from wsgraph.events.stream import EventStream
from wsgraph_encoders.program import place, program_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsgraph.events.blocks import ParamView
    from wsgraph.events.structure import Structure
    from wsgraph_encoders.program import Program

__all__ = ["Batch", "Group", "collate"]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The streams of a batch that share one architecture.

    Attributes:
        structure: their structure.
        program: what encoding it takes.
        streams: the streams, with weights.
        positions: where each stands in the batch.
        checked: whether somebody else sees to it that weights are finite; to check them here is to wait for
            the device.
    """

    structure: Structure
    program: Program
    streams: tuple[EventStream, ...]
    positions: tuple[int, ...]
    checked: bool = False

    def values(self, view: ParamView) -> Tensor:
        """A feature of all streams, ``[streams, *view.shape]``, in the dtype that it is stored in.

        One stream's feature is a view of its weights; several are stacked, this feature alone.

        Raises:
            CheckpointError: an element is NaN or infinite, or no real number.
        """
        features = [stream.feature(view) for stream in self.streams]
        together = features[0].unsqueeze(0) if len(features) == 1 else torch.stack(features)
        if not (self.checked or _is_finite(together)):
            for feature, position in zip(features, self.positions, strict=True):
                _check_finite(feature, view.name, position)
        return together

    def fresh(self, device: torch.device | None = None) -> Group:
        """The group without cached derived tensors, whose autograd graphs serve one backward pass only.

        Args:
            device: where it is encoded, for index tensors to be there; None leaves them.
        """
        program = self.program if device is None else place(self.program, device)
        streams = (EventStream(self.structure, stream.weights, trusted=True) for stream in self.streams)
        return replace(self, program=program, streams=tuple(streams))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Streams of any mix of architectures.

    Attributes:
        groups: the streams, grouped by fingerprint, in order of first appearance.
        size: number of streams.
    """

    groups: tuple[Group, ...]
    size: int

    def __len__(self) -> int:
        return self.size


def collate(streams: Iterable[EventStream]) -> Batch:
    """Group streams by architecture; nothing is read or copied yet.

    Weights stay in their autograd graph: streams bound to tensors that require gradients
    (``stream.bind(state_dict)``) get them.

    Args:
        streams: event streams with weights, of any architectures.

    Raises:
        StructureError: there are no streams, or one has no weights.
    """
    streams = tuple(streams)
    if not streams:
        raise StructureError("a batch needs at least one event stream, got none")
    members: dict[str, list[int]] = {}
    for position, stream in enumerate(streams):
        if stream.weights is None:
            raise StructureError(
                f"stream {position} of the batch has no weights", remedy="bind some: stream.bind(state_dict)"
            )
        members.setdefault(stream.fingerprint, []).append(position)
    groups = []
    for positions in members.values():
        structure = streams[positions[0]].structure
        chosen = tuple(streams[position] for position in positions)
        groups.append(Group(structure, program_of(structure), chosen, tuple(positions)))
    return Batch(tuple(groups), len(streams))


def _is_finite(feature: Tensor) -> bool:
    """Whether all elements are: their sum says so in one pass unless it overflows. Complex ones are not."""
    dtype = feature.dtype
    if dtype.is_complex:
        return False
    if not dtype.is_floating_point:
        return True
    wide = feature.detach() if feature.requires_grad else feature
    wide = wide.float() if dtype.itemsize == 1 else wide
    return math.isfinite(wide.sum()) or bool(torch.isfinite(wide).all())


def _check_finite(feature: Tensor, name: str, position: int) -> None:
    """Name the parameter at fault, if it is this one."""
    if feature.is_complex():
        raise CheckpointError(f"parameter {name!r} of stream {position} is complex; features are real")
    if not _is_finite(feature):
        wide = feature.float() if feature.dtype.itemsize == 1 else feature
        bad = int((~torch.isfinite(wide)).sum())
        raise CheckpointError(
            f"parameter {name!r} of stream {position} has {bad:,} elements that are NaN or infinite",
            remedy="leave this checkpoint out, or repair it; stream.nonfinite() lists all such tensors",
        )
