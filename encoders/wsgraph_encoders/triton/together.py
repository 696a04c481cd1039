"""A batch of unlike networks, in step: what their n-th blocks have in common goes out in one launch.

The order is each network's own; networks do not wait for timestamps, only for the round.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph_encoders.maps import SingleMap
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.passes import EncoderPass, stacked_links
from wsgraph_encoders.triton.grouped import Request, grouped_single
from wsgraph_encoders.triton.ladder import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch.nn import ModuleDict

    from wsgraph_encoders.batch import Group
    from wsgraph_encoders.dng import DNGEncoder
    from wsgraph_encoders.maps import Call
    from wsgraph_encoders.passes import Setting
    from wsgraph_encoders.program import Step
    from wsgraph_encoders.readouts import History
    from wsgraph_encoders.triton.message import TritonMessage

__all__ = ["encode_together"]

_SMALL = 1 << 18
"""Weights of a block, over all networks of its architecture, up to which it is worth copying."""


@dataclass(slots=True)
class _Run:
    """One architecture of the batch, on its way.

    Attributes:
        group: its networks.
        setting: what its steps have in common.
        history: mean memories, where the readout reads them.
        before: memories of the pass before.
        memories: those of this pass.
        place: number of blocks without incoming edges so far.
    """

    group: Group
    setting: Setting
    history: History | None
    before: dict[int, Tensor] | None = None
    memories: dict[int, Tensor] = field(default_factory=dict)
    place: int = 0


def encode_together(
    encoder: DNGEncoder, groups: Sequence[Group], message: TritonMessage, *, keep: bool
) -> list[tuple[Tensor, Mapping[int, Tensor]]]:
    """What :meth:`DNGEncoder.encode_group` gives for each group.

    Args:
        encoder: the encoder.
        groups: the architectures of a batch.
        message: the kernels.
        keep: whether to keep all memories until the end.
    """
    runs = [
        _Run(group, encoder.setting(group)._replace(message=message), encoder.readout.history())
        for group in groups
    ]
    for number in range(len(encoder.passes)):
        last = number == len(encoder.passes) - 1
        for run in runs:
            run.before, run.memories, run.place = run.memories or None, {}, 0
        for bundles in zip_longest(*(group.program.bundles for group in groups)):
            active = [(run, steps) for run, steps in zip(runs, bundles, strict=True) if steps]
            _round(encoder, number, active, message)
            for run, steps in active:
                _settle(run, steps, last=last, keep=keep or not last)
    return [encoder.read(run.group, run.memories, run.history) for run in runs]


def _settle(run: _Run, steps: tuple[Step, ...], *, last: bool, keep: bool) -> None:
    """Note what the readout needs, and forget what nobody reads again."""
    if last and run.history is not None and steps[0].links:
        memory = torch.cat([run.memories[step.node.id] for step in steps], 1)
        run.history.add(steps[0].node.t, memory)
    for dead in () if keep else (block for step in steps for block in step.dead):
        del run.memories[dead]


def _round(
    encoder: DNGEncoder,
    number: int,
    active: Sequence[tuple[_Run, tuple[Step, ...]]],
    message: TritonMessage,
) -> None:
    encode = encoder.passes[number]
    assert isinstance(encode, EncoderPass)
    inner = [(run, steps) for run, steps in active if steps[0].links]
    for run, steps in active:
        if not steps[0].links:
            run.memories[steps[0].node.id] = encoder.sources(steps[0], run.place)
            run.place += 1
    sums = _sums(encode, inner, message)
    by_key: dict[str, list[int]] = defaultdict(list)
    for i, (_, steps) in enumerate(inner):
        by_key[encode.sets.node_key(steps[0])].append(i)
    for chosen in by_key.values():
        _remember(encoder, encode, [inner[i] for i in chosen], [sums[i] for i in chosen])


def _remember(
    encoder: DNGEncoder,
    encode: EncoderPass,
    inner: Sequence[tuple[_Run, tuple[Step, ...]]],
    sums: Sequence[Tensor],
) -> None:
    """The memory updates of blocks with the same parameters: all nodes of all networks in a row."""
    shapes, rows = [], []
    for (run, steps), message in zip(inner, sums, strict=True):
        blocks = [step.node.id for step in steps]
        past = None if run.before is None else torch.cat([run.before[block] for block in blocks], 1)
        shift = encoder.embeddings(steps[0], run.group.program)
        if past is None:
            (gates,) = encode.first_gates(run.setting, [steps], [shift])
        else:
            gates = encode.later_gates(steps, past)
        shapes.append((max(len(gates), len(message)), message.shape[1]))
        rows.append([x.expand(*shapes[-1], -1).flatten(0, 1) for x in (gates, message)])
    gates, message = (torch.cat(column).unsqueeze(0) for column in zip(*rows, strict=True))
    memory = encode.remember(inner[0][1], gates, message).squeeze(0)
    parts = torch.split(memory, [batch * n for batch, n in shapes])
    for (run, steps), part, (batch, n) in zip(inner, parts, shapes, strict=True):
        whole = part.reshape(batch, n, -1).expand(len(run.group.streams), -1, -1)
        sizes = [step.node.size for step in steps]
        run.memories.update(zip((step.node.id for step in steps), torch.split(whole, sizes, 1), strict=True))


def _sums(
    encode: EncoderPass, inner: Sequence[tuple[_Run, tuple[Step, ...]]], message: TritonMessage
) -> list[Tensor]:
    """The summed message of each block."""
    owners: list[int] = []
    calls: list[tuple[str, Call]] = []
    for i, (run, steps) in enumerate(inner):
        for links in stacked_links(steps):
            owners.append(i)
            calls.append(encode.call(run.setting, steps, links, run.memories))
    parts: list[list[Tensor]] = [[] for _ in inner]
    for owner, part in zip(owners, _messages(encode.messages, calls, message), strict=True):
        parts[owner].append(part)
    return [sum(own[1:], own[0]) for own in parts]


def _messages(maps: ModuleDict, calls: Sequence[tuple[str, Call]], message: TritonMessage) -> list[Tensor]:
    """The message of each call: small dense blocks with the same map in one launch, others one by one."""
    found: dict[int, Tensor] = {}
    together: dict[str, list[int]] = defaultdict(list)
    for i, (key, call) in enumerate(calls):
        if isinstance(maps[key], SingleMap) and _is_small(call):
            together[key].append(i)
        else:
            found[i] = maps[key](call)
    for key, chosen in together.items():
        some = _single_together(maps[key], [calls[i][1] for i in chosen], message)
        found.update(zip(chosen, some, strict=True))
    return [found[i] for i in range(len(calls))]


def _is_small(call: Call) -> bool:
    return (
        isinstance(call.wiring, DenseWiring) and call.weights.dim() > 1 and 0 < call.weights.numel() <= _SMALL
    )


def _single_together(
    single_map: torch.nn.Module, calls: Sequence[Call], message: TritonMessage
) -> list[Tensor]:
    assert isinstance(single_map, SingleMap)
    mapped = single_map.node(torch.cat([call.sources.flatten(0, 1) for call in calls]))
    rows = torch.split(mapped, [call.sources.shape[0] * call.sources.shape[1] for call in calls])
    requests = []
    for call, part in zip(calls, rows, strict=True):
        assert isinstance(call.wiring, DenseWiring)
        weights = call.weights if call.weights.dtype == mapped.dtype else call.weights.to(mapped.dtype)
        requests.append(Request(call.wiring, weights, part.reshape(*call.sources.shape[:2], -1)))
    edge = calls[0].fourier.map(single_map.edge)
    expansion = expand(edge, message.ladder(edge.frequencies))
    return grouped_single(requests, expansion, message.precision)
