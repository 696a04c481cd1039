"""Encoding one network after another of one architecture with the least latency: as a CUDA graph.

A small network's encoding is hundreds of small kernels, and launching them one by one takes longer than they
do. A graph launches them together; weights are copied into the tensors that it was captured with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.batch import collate
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.triton.available import fused_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.dng import DNGEncoder

__all__ = ["GraphedEncoder"]

_WARM_UP = 3
"""Runs before capturing: kernels are compiled and tables made in the first."""


class GraphedEncoder:
    """An encoder captured for one architecture; no gradients. Later changes of its parameters are seen.

    Args:
        encoder: the encoder, on CUDA, in float32, with the message ``spectral``.
        stream: a network of the architecture, with weights.

    Raises:
        EncoderError: the encoder is not on CUDA in float32, or Triton is not installed.
        CheckpointError: a weight is NaN or infinite.
    """

    def __init__(self, encoder: DNGEncoder, stream: EventStream) -> None:
        if not fused_on(encoder.fourier.b):
            raise EncoderError(
                f"a CUDA graph needs an encoder on CUDA in float32, and Triton; this one is on "
                f"{encoder.fourier.b.device} in {encoder.fourier.b.dtype}",
                remedy="encoder.cuda(), pip install 'wsgraph[cuda]', or call the encoder itself",
            )
        device = encoder.fourier.b.device
        self._state = {name: tensor.to(device, copy=True) for name, tensor in stream.state_dict().items()}
        self._encoder = encoder
        (self._group,) = collate([stream.bind(self._state)]).groups
        with torch.no_grad():
            self._warm_up(device)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._embedding = self._encode(checked=True)

    def __call__(self, state: Mapping[str, Tensor] | None = None) -> Tensor:
        """The embedding of a network, ``[d]``.

        Args:
            state: its tensors by name; they are not checked for NaN, which the embedding then shows. None
                encodes the one before again.
        """
        for name, tensor in () if state is None else state.items():
            self._state[name].copy_(tensor, non_blocking=True)
        self._graph.replay()
        return self._embedding[0].clone()

    def _warm_up(self, device: torch.device) -> None:
        beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        beside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UP):
                self._encode(checked=False)
        torch.cuda.current_stream(device).wait_stream(beside)

    def _encode(self, *, checked: bool) -> Tensor:
        fresh = self._group.fresh(self._encoder.fourier.b.device)
        return self._encoder.encode_group(replace(fresh, checked=checked), keep=False)[0]
