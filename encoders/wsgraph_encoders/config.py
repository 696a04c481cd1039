"""The DNG-Encoder's configuration: plain data, so that it can be stored beside a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from wsgraph.events.blocks import Learned
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.program import program_of

if TYPE_CHECKING:
    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.messages.interface import MessageName

__all__ = ["ACTIVATIONS", "DNGConfig", "Layout", "ParameterSets", "Readout"]

ParameterSets: TypeAlias = Literal["per_step", "per_kind"]
Readout: TypeAlias = Literal["last", "mean", "attention"]

ACTIVATIONS = (
    "relu", "tanh", "sigmoid", "gelu", "silu", "sin", "softmax", "leaky_relu", "elu", "hardswish", "softplus",
)  # fmt: skip
"""Activations with an embedding of their own; all others share one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What ``per_step`` parameters are shaped by: one architecture's timestamps.

    Attributes:
        messages: timestamp, parallel edges (t, m) and whether they mix neurons, which ``heads`` pads; every
            sort of message once.
        steps: timestamps at which nodes with incoming edges appear.
        sources: sizes of the blocks without incoming edges, in stream order.
        tags: tags of the learned edges.
        extra_features: whether nodes have features other than a shift.
        outputs: number of output nodes.
    """

    messages: tuple[tuple[int, int, bool], ...]
    steps: tuple[int, ...]
    sources: tuple[int, ...]
    tags: tuple[str, ...]
    extra_features: bool
    outputs: int

    @classmethod
    def of(cls, stream: EventStream) -> Layout:
        """The layout of a stream's architecture."""
        program = program_of(stream.structure)
        inner = [step for step in program.steps if step.links]
        links = [(step.node.t, link) for step in inner for link in step.links]
        names = {name for step in program.steps for name in step.features}
        sizes = stream.structure.node_by_id
        return cls(
            messages=tuple(sorted({(t, link.multiplicity, link.mixes) for t, link in links})),
            steps=tuple(sorted({step.node.t for step in inner})),
            sources=tuple(step.node.size for step in program.sources),
            tags=tuple(sorted({e.feature.tag for e in stream.edge_blocks if isinstance(e.feature, Learned)})),
            extra_features=bool(names - {"bias"}),
            outputs=sum(sizes[block].size for block in program.outputs),
        )


@dataclass(frozen=True, slots=True)
class DNGConfig:
    """Sizes and options of a DNG-Encoder (sections 5 and 9, App. G).

    Attributes:
        parameters: ``per_step``, one parameter set a timestamp as in the paper (one architecture; needs
            ``layout``), or ``per_kind``, one set an edge kind (any architectures, mixed in a batch).
        layout: the architecture of ``per_step`` parameters; see :meth:`for_stream`.
        frequencies: number F of random Fourier frequencies; features are 2F wide.
        fourier_scale: standard deviation of the frequencies.
        hidden: width of memories and messages.
        edge_width: width of an edge's message where pairs have parallel edges (Eq. 5).
        heads: pad all edges that mix neurons to so many parallel ones, as the published CNN encoder
            does; None keeps each block's own number. For ``per_step`` only.
        positions: for ``per_kind``, how many cosines over the position of a parallel edge its maps are
            made of: any map a position can be expressed for up to so many parallel edges.
        passes: times that the stream is run through.
        dropout: probability of dropping elements of memories in training.
        activation_embeddings: learned vectors for activations, added to nodes' features (section 9.6).
        activation_of: whose activation: the node block's own, or the network's first one for all nodes.
        activations: activations with a vector of their own.
        position_embeddings: learned vectors for timestamps, added to nodes' features (section 9.5).
        readout: what the embedding is made of: the output nodes' last memories, or the mean of, or
            attention over, the memories of all timestamps.
        message: ``spectral``, or the naive ``reference``.

    Raises:
        EncoderError: a value makes no sense.
    """

    parameters: ParameterSets = "per_kind"
    layout: Layout | None = None
    frequencies: int = 64
    fourier_scale: float = 3.0
    hidden: int = 64
    edge_width: int = 32
    heads: int | None = None
    positions: int = 9
    passes: int = 1
    dropout: float = 0.0
    activation_embeddings: bool = False
    activation_of: Literal["block", "network"] = "block"
    activations: tuple[str, ...] = ACTIVATIONS
    position_embeddings: bool = False
    readout: Readout = "last"
    message: MessageName = "spectral"

    def __post_init__(self) -> None:
        for name in ("frequencies", "hidden", "edge_width", "positions", "passes"):
            if getattr(self, name) < 1:
                raise EncoderError(f"DNGConfig.{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise EncoderError(f"DNGConfig.dropout must be in [0, 1), got {self.dropout}")
        choices = {
            "parameters": ("per_step", "per_kind"),
            "readout": ("last", "mean", "attention"),
            "message": ("spectral", "reference"),
            "activation_of": ("block", "network"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise EncoderError(
                    f"DNGConfig.{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        if self.heads is not None and self.parameters == "per_kind":
            raise EncoderError("heads pad the edges of per_step parameters; per_kind takes any multiplicity")

    def for_stream(self, stream: EventStream) -> DNGConfig:
        """This configuration with ``per_step`` parameters for a stream's architecture."""
        return replace(self, parameters="per_step", layout=Layout.of(stream))
