"""Encoding a network that is larger than the device: block by block, from the memory-mapped file.

A thread copies the next blocks' weights from the file into pinned memory and on to the device, on a stream of
their own, while the device works on the block before. What is on the device at once is a few blocks of
weights and the memories that are still to be read: O(largest block + nodes · hidden). On a CPU weights are
read where they lie.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from wsgraph.errors import CheckpointError
from wsgraph.events.blocks import ParamView
from wsgraph.events.stream import EventStream
from wsgraph_encoders.batch import Group, collate
from wsgraph_encoders.dng import Encoded
from wsgraph_encoders.program import place
from wsgraph_encoders.transfer import Arrival, Transfer, transfer_to
from wsgraph_encoders.triton.available import fused_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wsgraph_encoders.dng import DNGEncoder
    from wsgraph_encoders.program import Program

__all__ = ["ReadAhead", "encode_streamed"]


def encode_streamed(encoder: DNGEncoder, stream: EventStream, *, ahead: int = 2) -> Encoded:
    """Encode one network whose weights need not fit on the encoder's device.

    Args:
        encoder: the encoder; gradients are not recorded.
        stream: the network, with weights on the CPU: of ``wsgraph.load``, say.
        ahead: how many blocks are read ahead.

    Returns:
        As ``encoder(collate([stream]), memories=False)``.

    Raises:
        CheckpointError: a weight is NaN or infinite; on a GPU that is known after the last block.
        StructureError: the stream has no weights.
    """
    (group,) = collate([stream]).groups
    device = encoder.fourier.b.device
    views = list(_edge_views(group.program)) * len(encoder.passes)
    # To look at a block's numbers is to wait for the device; the kernels do without.
    deferred = fused_on(encoder.fourier.b)
    with torch.no_grad(), ReadAhead(stream, views, transfer_to(device, ahead + 1), ahead) as source:
        program = place(group.program, device)
        streamed = Group(group.structure, program, (source,), group.positions, checked=deferred)
        embedding, memories = encoder.encode_group(streamed, keep=False)
        if deferred:
            source.check_finite()
    own: Mapping[int, Tensor] = {block: memory[0] for block, memory in memories.items()}
    return Encoded(embedding, (own,))


class ReadAhead(EventStream):
    """A stream whose features arrive on a device; the edges' have been sent for before they are asked for.

    Args:
        stream: the stream, with weights on the CPU.
        views: the features in the order in which they will be asked for; others are sent for then.
        transfer: brings a tensor to the device.
        ahead: how many features are on their way.
    """

    def __init__(
        self, stream: EventStream, views: Iterable[ParamView], transfer: Transfer, ahead: int
    ) -> None:
        super().__init__(stream.structure, stream.weights, trusted=True)
        self._transfer = transfer
        self._views = iter(views)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._coming: deque[tuple[ParamView, Future[Arrival]]] = deque()
        self._finite: list[tuple[str, Tensor]] = []
        for _ in range(ahead):
            self._send_for_next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def feature(self, view: ParamView) -> Tensor:
        """The feature on the device, ``[*view.shape]``."""
        if self._coming and self._coming[0][0] == view:
            arrival = self._coming.popleft()[1].result()
            self._send_for_next()
        else:
            arrival = self._transfer.send(super().feature(view))
        feature = self._transfer.receive(arrival)
        if feature.is_cuda:  # elsewhere a group checks its features as it reads them
            self._finite.append((view.name, _all_finite(feature)))
        return feature

    def check_finite(self) -> None:
        """Say which parameter is not finite; waits for the device.

        Raises:
            CheckpointError: one of the features so far has elements that are NaN or infinite.
        """
        for name, finite in self._finite:
            if not bool(finite):
                raise CheckpointError(
                    f"parameter {name!r} has elements that are NaN or infinite",
                    remedy="leave it out, or repair it; stream.nonfinite() lists all such tensors",
                )

    def _send_for_next(self) -> None:
        view = next(self._views, None)
        if view is not None:
            self._coming.append((view, self._thread.submit(self._send, view)))

    def _send(self, view: ParamView) -> Arrival:
        return self._transfer.send(super().feature(view))


def _all_finite(feature: Tensor) -> Tensor:
    """Whether all elements are finite, left on the device: their extremes are, and NaN if any is."""
    if feature.numel() == 0 or not feature.is_floating_point():
        return torch.ones((), dtype=torch.bool)
    wide = feature.float() if feature.dtype.itemsize == 1 else feature
    return torch.stack(torch.aminmax(wide)).isfinite().all()


def _edge_views(program: Program) -> Iterator[ParamView]:
    """Features of edges in the order in which the encoder reads them; without those it works out ahead."""
    for steps in program.bundles:
        for links in zip(*(step.links for step in steps), strict=True):
            for link in links:
                if isinstance(link.edge.feature, ParamView) and not link.one_to_one:
                    yield link.edge.feature
