"""One pass of the DNG-Encoder over a program: messages, then memory updates, step after step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from wsgraph.events.blocks import Learned
from wsgraph_encoders.cells import MemoryCell
from wsgraph_encoders.maps import Call
from wsgraph_encoders.program import gather_sources
from wsgraph_encoders.values import edge_weights, node_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgraph_encoders.batch import Group
    from wsgraph_encoders.config import DNGConfig
    from wsgraph_encoders.fourier import FourierFeatures
    from wsgraph_encoders.messages import Message
    from wsgraph_encoders.parameter_sets import ParameterSets
    from wsgraph_encoders.program import Link, Step

__all__ = ["EncoderPass", "Setting"]


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
        step: Step,
        memories: Mapping[int, Tensor],
        shift: Tensor | None,
        before: Tensor | None,
    ) -> Tensor:
        """The memories of one step's nodes, ``[batch, n, hidden]`` (Eq. 4 to 6).

        Args:
            setting: the group and what goes with it.
            step: the node block and its edges.
            memories: those of earlier blocks.
            shift: what options add to the nodes' features, ``[2F]``.
            before: the nodes' memories from the pass before; None in the first one.
        """
        parts = [self._message(setting, step, link, memories) for link in step.links]
        message = sum(parts[1:], parts[0])
        key = self.sets.node_key(step)
        own = self.own[key]
        assert isinstance(own, nn.Linear)
        gates = self._gates(setting, step, own, shift) if before is None else self.rnn.input_map(own(before))
        memory: Tensor = self.dropout(self.norm[key](self.rnn(gates, message)))
        return memory.expand(len(setting.group.streams), -1, -1)

    def _message(self, setting: Setting, step: Step, link: Link, memories: Mapping[int, Tensor]) -> Tensor:
        feature = link.edge.feature
        if link.kind == "learned":
            assert isinstance(feature, Learned)
            weights = setting.tags[feature.tag] * (feature.scale * link.edge.multiplicity)
        else:
            weights = edge_weights(setting.group, link, step, setting.fourier.b.dtype)
        sources = gather_sources(link, memories)
        call = Call(setting.message, setting.fourier, link.wiring, weights, sources)
        result: Tensor = self.messages[self.sets.message_key(link, step)](call)
        return result

    def _gates(self, setting: Setting, step: Step, own: nn.Linear, shift: Tensor | None) -> Tensor:
        """The GRU's side of the nodes' own features: ``[batch or 1, n or 1, 3·hidden]``."""
        enter, dtype = self.rnn.input_map, setting.fourier.b.dtype
        bias = node_values(setting.group, step, "bias", dtype) if "bias" in step.features else None
        if bias is None:  # nodes without a feature start from the zero vector (App. F.2)
            start = own.bias if shift is None else own(shift)
            gates: Tensor = enter(start).view(1, 1, -1)
        else:
            gates = setting.message.project(bias, setting.fourier.map(own, shift), enter.weight, enter.bias)
        for name in step.features:
            values = None if name == "bias" else node_values(setting.group, step, name, dtype)
            if values is not None and self.further is not None:
                more: Tensor = self.further(setting.fourier(values))
                gates = gates + more @ enter.weight.t()
        return gates
