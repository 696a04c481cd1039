"""One pass of the DNG-Encoder over a program: messages, then memory updates, step after step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from wsgraph.events.blocks import Learned
from wsgraph_encoders.cells import MemoryCell
from wsgraph_encoders.maps import Call
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.program import gather_sources
from wsgraph_encoders.values import edge_weights, node_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wsgraph_encoders.batch import Group
    from wsgraph_encoders.config import DNGConfig
    from wsgraph_encoders.fourier import FourierFeatures
    from wsgraph_encoders.messages import Message
    from wsgraph_encoders.parameter_sets import ParameterSets
    from wsgraph_encoders.program import Link, Step

__all__ = ["EncoderPass", "Setting", "stacked_links"]


class Setting(NamedTuple):
    """What all steps of a pass over one group have in common.

    Attributes:
        group: the streams.
        message: how sums are computed.
        fourier: the Fourier features.
        tags: learned features of learned edges by tag, ``[2F]``.
    """

    group: Group
    message: Message
    fourier: FourierFeatures
    tags: Mapping[str, Tensor]


class EncoderPass(nn.Module):
    """The parameters of one pass.

    Args:
        config: sizes.
        sets: which parameters a block uses.
        first: whether the nodes' own features are read; later passes read their memories instead.
        extra_features: whether nodes may have features other than a shift.
    """

    def __init__(self, config: DNGConfig, sets: ParameterSets, *, first: bool, extra_features: bool) -> None:
        super().__init__()
        hidden, features = config.hidden, 2 * config.frequencies
        self.sets = sets
        self.messages = sets.message_maps()
        self.own = nn.ModuleDict(
            {key: nn.Linear(features if first else hidden, hidden) for key in sets.node_keys()}
        )
        self.norm = nn.ModuleDict({key: nn.LayerNorm(hidden) for key in sets.node_keys()})
        self.rnn = MemoryCell(hidden)
        self.further = nn.Linear(features, hidden, bias=False) if first and extra_features else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        setting: Setting,
        steps: tuple[Step, ...],
        memories: Mapping[int, Tensor],
        shift: Tensor | None,
        before: Tensor | None,
    ) -> Tensor:
        """The memories of a bundle's nodes, block after block, ``[batch, n, hidden]`` (Eq. 4 to 6).

        Args:
            setting: the group and what goes with it.
            steps: the node blocks and their edges.
            memories: those of earlier blocks.
            shift: what options add to the nodes' features, ``[2F]``.
            before: the nodes' memories from the pass before; None in the first one.
        """
        calls = [self.call(setting, steps, links, memories) for links in stacked_links(steps)]
        parts = [self.messages[key](call) for key, call in calls]
        message = sum(parts[1:], parts[0])
        memory = self.remember(steps, self.gates(setting, steps, shift, before), message)
        return memory.expand(len(setting.group.streams), -1, -1)

    def remember(self, steps: tuple[Step, ...], gates: Tensor, message: Tensor) -> Tensor:
        """The memories that nodes have after a summed message, ``[batch, n, hidden]``."""
        updated = self.norm[self.sets.node_key(steps[0])](self.rnn(gates, message))
        memory: Tensor = self.dropout(updated)
        return memory

    def call(
        self,
        setting: Setting,
        steps: tuple[Step, ...],
        links: tuple[Link, ...],
        memories: Mapping[int, Tensor],
    ) -> tuple[str, Call]:
        """The map's name and the operands of the messages along one link of each step."""
        link, dtype = links[0], setting.fourier.b.dtype
        feature, wiring = link.edge.feature, link.wiring
        if link.kind == "learned":
            assert isinstance(feature, Learned)
            weights = setting.tags[feature.tag] * (feature.scale * link.edge.multiplicity)
        else:
            stacked = zip(links, steps, strict=True)
            weights = _joined([edge_weights(setting.group, one, step, dtype) for one, step in stacked], 2)
        if len(links) > 1:
            assert isinstance(wiring, DenseWiring)
            wiring = DenseWiring(1, weights.shape[2], wiring.n_src)
        call = Call(setting.message, setting.fourier, wiring, weights, gather_sources(link, memories))
        return self.sets.message_key(link, steps[0]), call

    def gates(
        self, setting: Setting, steps: tuple[Step, ...], shift: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """The GRU's side of the nodes' own features: ``[batch or 1, n or 1, 3·hidden]``."""
        own = self.own[self.sets.node_key(steps[0])]
        assert isinstance(own, nn.Linear)
        if before is None:
            return self._first_gates(setting, steps, own, shift)
        gates: Tensor = self.rnn.input_map(own(before))
        return gates

    def _first_gates(
        self, setting: Setting, steps: tuple[Step, ...], own: nn.Linear, shift: Tensor | None
    ) -> Tensor:
        enter, names = self.rnn.input_map, steps[0].features
        bias = _values(setting, steps, "bias") if "bias" in names else None
        if bias is None:  # nodes without a feature start from the zero vector (App. F.2)
            start = own.bias if shift is None else own(shift)
            gates: Tensor = enter(start).view(1, 1, -1)
        else:
            gates = setting.message.project(bias, setting.fourier.map(own, shift), enter.weight, enter.bias)
        for name in names:
            values = None if name == "bias" else _values(setting, steps, name)
            if values is not None and self.further is not None:
                more: Tensor = self.further(setting.fourier(values))
                gates = gates + more @ enter.weight.t()
        return gates


def stacked_links(steps: tuple[Step, ...]) -> Iterator[tuple[Link, ...]]:
    """The links of a bundle's steps that can be one message, together."""
    yield from zip(*(step.links for step in steps), strict=True)


def _values(setting: Setting, steps: tuple[Step, ...], name: str) -> Tensor | None:
    """A feature of a bundle's nodes, ``[batch, n]``; None where they have none of that name."""
    dtype = setting.fourier.b.dtype
    found = [node_values(setting.group, step, name, dtype) for step in steps]
    values = [value for value in found if value is not None]
    return _joined(values, 1) if values else None


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """The parts one after another; a single one is not copied."""
    return torch.cat(list(parts), dim) if len(parts) > 1 else parts[0]
