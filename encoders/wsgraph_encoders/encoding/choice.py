"""Which encoder: one of a run, or an untrained one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from wsgraph.events.bits import tensor_bytes
from wsgraph_encoders.config import DNGConfig
from wsgraph_encoders.dng import DNGEncoder

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsgraph_encoders.batch import Batch

__all__ = ["Embedder", "EncoderChoice"]


class Embedder(Protocol):
    """Makes embeddings."""

    def embed(self, batch: Batch) -> Tensor:
        """``[batch, features]``."""
        ...


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder that is ready.

    Attributes:
        embedder: the encoder.
        digest: a hash of all that its embeddings depend on besides the networks.
    """

    embedder: Embedder
    digest: str


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """How to get an encoder; plain data, so that other processes can get the same one.

    Attributes:
        run: a run's folder, of ``wsgraph train``; None for a DNG-Encoder with random parameters, whose
            embeddings are fixed random features of a network: invariant to the order of its neurons, and
            made for any architecture.
        method: which of the run's methods; None for its first one.
        seed: which of the method's seeds, None for the first one; or what random parameters are drawn from.
        hidden: width of an untrained encoder, and of its embeddings.
    """

    run: str | None = None
    method: str | None = None
    seed: int | None = None
    hidden: int = 64

    def load(self) -> LoadedEncoder:
        """Read or make the encoder.

        Raises:
            EncoderError: the run is damaged, or has no such method or seed.
        """
        if self.run is None:
            untrained = _Untrained(self.hidden, self.seed or 0).eval()
            return LoadedEncoder(untrained, _digest(untrained, "untrained"))
        from wsgraph_encoders.tasks import load_run

        trained = load_run(self.run).encoder(self.method, self.seed)
        return LoadedEncoder(trained, _digest(trained, type(trained).__qualname__))


class _Untrained(torch.nn.Module):
    def __init__(self, hidden: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = DNGEncoder(DNGConfig(hidden=hidden))

    def embed(self, batch: Batch) -> Tensor:
        """``[batch, hidden]``."""
        embedding: Tensor = self.encoder(batch, memories=False).embedding
        return embedding


def _digest(module: nn.Module, sort: str) -> str:
    configurations = [repr(getattr(part, "config", None)) for part in module.modules()]
    digest = hashlib.blake2b("\n".join([sort, *configurations]).encode(), digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()
