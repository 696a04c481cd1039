"""Bringing tensors to a device: by pinned memory and a stream of its own on a GPU, not at all on a CPU."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["Arrival", "CudaTransfer", "HostTransfer", "Transfer", "transfer_to"]


class Arrival(NamedTuple):
    """A tensor on its way to the device.

    Attributes:
        tensor: it.
        event: recorded when it is there; None where it is already.
    """

    tensor: Tensor
    event: torch.cuda.Event | None


class Transfer(Protocol):
    """How tensors come to a device."""

    def send(self, tensor: Tensor) -> Arrival:
        """Start; may be called from another thread than :meth:`receive`."""
        ...

    def receive(self, arrival: Arrival) -> Tensor:
        """The tensor, for use on the current stream."""
        ...


class HostTransfer:
    """Weights are read where they lie."""

    def send(self, tensor: Tensor) -> Arrival:
        """Nothing is copied."""
        return Arrival(tensor, None)

    def receive(self, arrival: Arrival) -> Tensor:
        """It is there."""
        return arrival.tensor


class CudaTransfer:
    """Through pinned buffers, which are used in turn and as large as the largest tensor.

    Args:
        device: the GPU.
        buffers: number of tensors that may be on their way at once.
    """

    def __init__(self, device: torch.device, buffers: int) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        self._buffers: list[Tensor | None] = [None] * buffers
        self._busy: list[torch.cuda.Event | None] = [None] * buffers
        self._turn = 0

    def send(self, tensor: Tensor) -> Arrival:
        """Copy into a buffer, once the device has taken what was in it, and send that."""
        turn, self._turn = self._turn, (self._turn + 1) % len(self._buffers)
        busy = self._busy[turn]
        if busy is not None:
            busy.synchronize()
        staged = self._staging(turn, tensor)
        staged.copy_(tensor)
        with torch.cuda.stream(self._stream):
            arrived = staged.to(self._device, non_blocking=True)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's
            event.record()
        self._busy[turn] = event
        return Arrival(arrived, event)

    def receive(self, arrival: Arrival) -> Tensor:
        """The current stream waits for it; its memory is kept until that stream has used it."""
        assert arrival.event is not None
        current = torch.cuda.current_stream(self._device)
        current.wait_event(arrival.event)
        arrival.tensor.record_stream(current)
        return arrival.tensor

    def _staging(self, turn: int, tensor: Tensor) -> Tensor:
        """The start of a buffer, in the tensor's shape and dtype."""
        size, buffer = tensor.numel() * tensor.element_size(), self._buffers[turn]
        if buffer is None or buffer.numel() < size:
            self._buffers[turn] = buffer = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        return buffer[:size].view(tensor.dtype).view(tensor.shape)


def transfer_to(device: torch.device, buffers: int) -> Transfer:
    """How tensors come to a device, with so many at once on their way."""
    return CudaTransfer(device, buffers) if device.type == "cuda" else HostTransfer()
