"""Which parameters a block uses: one set a timestamp, or one set an edge kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import nn

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.maps import MultiMap, PositionalMap, SingleMap
from wsgraph_encoders.program import EDGE_KINDS

if TYPE_CHECKING:
    from wsgraph_encoders.config import DNGConfig, Layout
    from wsgraph_encoders.program import Link, Step

__all__ = ["ParameterSets", "PerKind", "PerStep", "parameter_sets"]


class ParameterSets(Protocol):
    """Names of parameter sets, and the modules behind them."""

    def message_maps(self) -> nn.ModuleDict:
        """A map for each name that :meth:`message_key` can give."""
        ...

    def message_key(self, link: Link, step: Step) -> str:
        """The set of an edge block."""
        ...

    def node_keys(self) -> list[str]:
        """All that :meth:`node_key` can give."""
        ...

    def node_key(self, step: Step) -> str:
        """The set of a node block."""
        ...


class PerStep:
    """One set a timestamp, and a number of parallel edges: the paper's default.

    Args:
        config: sizes.
        layout: the architecture.
    """

    def __init__(self, config: DNGConfig, layout: Layout) -> None:
        self.config, self.layout = config, layout
        self._keys = {self._key(*message)[0] for message in layout.messages}

    def message_maps(self) -> nn.ModuleDict:
        """Names ``t3_m9``, or ``t3_heads`` where edges are padded to the configuration's heads."""
        config, features = self.config, 2 * self.config.frequencies
        maps: dict[str, nn.Module] = {}
        for t, m, mixes in self.layout.messages:
            key, heads = self._key(t, m, mixes)
            if heads > 1 or key.endswith("heads"):
                maps[key] = MultiMap(features, config.hidden, config.edge_width, heads)
            else:
                maps[key] = SingleMap(features, config.hidden)
        return nn.ModuleDict(maps)

    def message_key(self, link: Link, step: Step) -> str:
        """By timestamp and multiplicity.

        Raises:
            EncoderError: the stream is not of the architecture that the encoder is for.
        """
        t, m = step.node.t, link.multiplicity
        key, heads = self._key(t, m, link.mixes)
        if key not in self._keys or m > heads:
            raise self._foreign(f"an edge block with {m} parallel edges at timestamp {t}")
        return key

    def _key(self, t: int, m: int, mixes: bool) -> tuple[str, int]:
        """Name of a set, and its number of heads."""
        if self.config.heads is not None and mixes:
            return f"t{t}_heads", self.config.heads
        return f"t{t}_m{m}", m

    def node_keys(self) -> list[str]:
        """``t3``."""
        return [f"t{t}" for t in self.layout.steps]

    def node_key(self, step: Step) -> str:
        """By timestamp.

        Raises:
            EncoderError: the stream is not of the architecture that the encoder is for.
        """
        if step.node.t not in self.layout.steps:
            raise self._foreign(f"a node block at timestamp {step.node.t}")
        return f"t{step.node.t}"

    def _foreign(self, what: str) -> EncoderError:
        last = max(self.layout.steps, default=0)
        return EncoderError(
            f"this encoder has per_step parameters for another architecture, of {last} timestamps: "
            f"the stream has {what}",
            remedy="make an encoder for it, or one with per_kind parameters for any architecture",
        )


class PerKind:
    """One set an edge kind: any architecture can be encoded, also with multiplicities never seen before.

    Args:
        config: sizes.
    """

    def __init__(self, config: DNGConfig) -> None:
        self.config = config

    def message_maps(self) -> nn.ModuleDict:
        """Names are the edge kinds."""
        config, features = self.config, 2 * self.config.frequencies
        maps: dict[str, nn.Module] = {
            kind: SingleMap(features, config.hidden) for kind in EDGE_KINDS if kind != "parallel"
        }
        maps["parallel"] = PositionalMap(features, config.hidden, config.edge_width, config.positions)
        return nn.ModuleDict(maps)

    def message_key(self, link: Link, step: Step) -> str:  # noqa: ARG002  the kind alone says
        """By kind."""
        return link.kind

    def node_keys(self) -> list[str]:
        """The edge kinds."""
        return list(EDGE_KINDS)

    def node_key(self, step: Step) -> str:
        """By the weightiest kind of incoming edges."""
        return step.kind


def parameter_sets(config: DNGConfig) -> ParameterSets:
    """The sets that a configuration asks for.

    Raises:
        EncoderError: ``per_step`` without a layout.
    """
    if config.parameters == "per_kind":
        return PerKind(config)
    if config.layout is None:
        raise EncoderError(
            "per_step parameters are made for one architecture, and the configuration names none",
            remedy="DNGEncoder(config.for_stream(stream))",
        )
    return PerStep(config, config.layout)
