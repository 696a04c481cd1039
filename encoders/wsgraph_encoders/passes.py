"""One pass of the DNG-Encoder over a program: messages, then memory updates, step after step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from wsgraph.events.blocks import Learned
from wsgraph_encoders.cells import MemoryCell
from wsgraph_encoders.maps import Call, SingleMap
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.program import gather_sources
from wsgraph_encoders.values import edge_weights, node_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wsgraph_encoders.batch import Group
    from wsgraph_encoders.config import DNGConfig
    from wsgraph_encoders.fourier import Frequencies
    from wsgraph_encoders.messages import Message
    from wsgraph_encoders.parameter_sets import ParameterSets
    from wsgraph_encoders.program import Link, Step

__all__ = ["Ahead", "EncoderPass", "Setting", "stacked_links", "stretches"]

_STRETCH = 1 << 20
"""Numbers that are worked out ahead: what a core's cache holds, and more than a small network has."""
_A_NODE = 4
"""Three gates and a gain, of the width of memories each."""


class Setting(NamedTuple):
    """What all steps of a pass over one group have in common.

    Attributes:
        group: the streams.
        message: how sums are computed.
        fourier: the frequencies of Fourier features.
        tags: learned features of learned edges by tag, ``[2F]``.
    """

    group: Group
    message: Message
    fourier: Frequencies
    tags: Mapping[str, Tensor]


class Ahead(NamedTuple):
    """What some steps of a pass need that no memory goes into.

    Attributes:
        gates: the GRU's side of the nodes' own features by the bundle's first block, for a first pass.
        gains: mapped features of the edges that are one to one, ``[batch, n, hidden]``, by edge block.
    """

    gates: Mapping[int, Tensor]
    gains: Mapping[int, Tensor]


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
        ahead: Ahead,
        before: Tensor | None,
    ) -> Tensor:
        """The memories of a bundle's nodes, block after block, ``[batch, n, hidden]`` (Eq. 4 to 6).

        Args:
            setting: the group and what goes with it.
            steps: the node blocks and their edges.
            memories: those of earlier blocks.
            ahead: of :meth:`work_ahead` over steps that these are among.
            before: the nodes' memories from the pass before; None in the first one.
        """
        parts = []
        for links in stacked_links(steps):
            gain = ahead.gains.get(links[0].edge.id)
            if gain is None:
                key, call = self.call(setting, steps, links, memories)
                parts.append(self.messages[key](call))
            else:
                mapped = self._single(links[0], steps[0]).node(gather_sources(links[0], memories))
                parts.append(gain * mapped)
        message = sum(parts[1:], parts[0])
        gates = ahead.gates[steps[0].node.id] if before is None else self.later_gates(steps, before)
        return self.remember(steps, gates, message).expand(len(setting.group.streams), -1, -1)

    def work_ahead(
        self, setting: Setting, stretch: Sequence[tuple[Step, ...]], shifts: Sequence[Tensor | None] | None
    ) -> Ahead:
        """What the bundles of a stretch need that no memory goes into, for all of them at once.

        Args:
            setting: the group and what goes with it.
            stretch: bundles with incoming edges.
            shifts: of each bundle what options add to the nodes' features, ``[2F]``; None in later passes,
                which do not read them.
        """
        gates: dict[int, Tensor] = {}
        if shifts is not None:
            blocks = [steps[0].node.id for steps in stretch]
            gates = dict(zip(blocks, self.first_gates(setting, stretch, shifts), strict=True))
        dtype = setting.fourier.b.dtype
        # Only single steps have such links: bundles are of dense ones.
        found = [(link, steps[0]) for steps in stretch for link in steps[0].links if link.one_to_one]
        weights = [edge_weights(setting.group, *of, dtype).squeeze(-1).to(dtype) for of in found]
        maps = [setting.fourier.map(self._single(*of).edge) for of in found]
        gains = setting.message.evaluate(weights, maps)
        return Ahead(gates, {link.edge.id: gain for (link, _), gain in zip(found, gains, strict=True)})

    def _single(self, link: Link, step: Step) -> SingleMap:
        found = self.messages[self.sets.message_key(link, step)]
        assert isinstance(found, SingleMap)
        return found

    def remember(self, steps: tuple[Step, ...], gates: Tensor, message: Tensor) -> Tensor:
        """The memories that nodes have after a summed message, ``[batch, n, hidden]``."""
        updated = self.norm[self.sets.node_key(steps[0])](self.rnn(gates, message))
        memory: Tensor = self.dropout(updated) if self.dropout.p else updated
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

    def later_gates(self, steps: tuple[Step, ...], before: Tensor) -> Tensor:
        """The GRU's side of the nodes' memories from the pass before, ``[batch, n, 3·hidden]``."""
        gates: Tensor = self.rnn.input_map(self._own(steps)(before))
        return gates

    def first_gates(
        self, setting: Setting, stretch: Sequence[tuple[Step, ...]], shifts: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """The GRU's side of the nodes' own features, ``[batch or 1, n or 1, 3·hidden]`` for each bundle."""
        enter = self.rnn.input_map
        maps = [setting.fourier.map(self._own(steps), s) for steps, s in zip(stretch, shifts, strict=True)]
        biases = [_values(setting, steps, "bias") for steps in stretch]
        chosen = [k for k, bias in enumerate(biases) if bias is not None]
        values = [bias for bias in biases if bias is not None]
        found = dict(
            zip(chosen, setting.message.evaluate(values, [maps[k] for k in chosen], enter), strict=True)
        )
        # Nodes without a feature start from the zero vector (App. F.2).
        plain = [k for k in range(len(stretch)) if k not in found]
        if plain:
            entered = enter(torch.stack([maps[k].bias for k in plain]))
            found.update(zip(plain, entered.view(-1, 1, 1, entered.shape[-1]).unbind(), strict=True))
        return [self._with_further(setting, steps, found[k]) for k, steps in enumerate(stretch)]

    def _own(self, steps: tuple[Step, ...]) -> nn.Linear:
        own = self.own[self.sets.node_key(steps[0])]
        assert isinstance(own, nn.Linear)
        return own

    def _with_further(self, setting: Setting, steps: tuple[Step, ...], gates: Tensor) -> Tensor:
        """Gates that features other than a shift add to."""
        for name in steps[0].features:
            values = None if name == "bias" else _values(setting, steps, name)
            if values is not None and self.further is not None:
                more: Tensor = self.further(setting.fourier.features(values))
                gates = gates + more @ self.rnn.input_map.weight.t()
        return gates


def stretches(
    bundles: Sequence[tuple[Step, ...]], batch: int, hidden: int
) -> Iterator[Sequence[tuple[Step, ...]]]:
    """The bundles in stretches for each of which :meth:`EncoderPass.work_ahead` may keep what it finds."""
    stretch: list[tuple[Step, ...]] = []
    size = 0
    for steps in bundles:
        more = batch * sum(step.node.size for step in steps) * _A_NODE * hidden
        if stretch and size + more > _STRETCH:
            yield stretch
            stretch, size = [], 0
        stretch.append(steps)
        size += more
    yield stretch


def stacked_links(steps: tuple[Step, ...]) -> Iterator[tuple[Link, ...]]:
    """The links of a bundle's steps that can be one message, together."""
    yield from zip(*(step.links for step in steps), strict=True)


def _values(setting: Setting, steps: tuple[Step, ...], name: str) -> Tensor | None:
    """A feature of a bundle's nodes, ``[batch, n]``; None where they have none of that name."""
    if name not in steps[0].features:
        return None
    dtype = setting.fourier.b.dtype
    found = [node_values(setting.group, step, name, dtype) for step in steps]
    values = [value for value in found if value is not None]
    return _joined(values, 1) if values else None


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """The parts one after another; a single one is not copied."""
    return torch.cat(list(parts), dim) if len(parts) > 1 else parts[0]
