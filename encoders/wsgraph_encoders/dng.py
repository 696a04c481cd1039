"""The DNG-Encoder (section 5): a recurrent graph network that follows the network's own inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgraph_encoders.config import DNGConfig
from wsgraph_encoders.embeddings import NodeEmbeddings
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.fourier import FourierFeatures
from wsgraph_encoders.messages import message_function
from wsgraph_encoders.messages.automatic import AutomaticMessage
from wsgraph_encoders.parameter_sets import parameter_sets
from wsgraph_encoders.passes import EncoderPass, Setting, stretches
from wsgraph_encoders.readouts import History, ReadoutHead
from wsgraph_encoders.sources import SourcesByPlace, SourcesByRole
from wsgraph_encoders.tags import TagVectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wsgraph.events.stream import EventStream
    from wsgraph_encoders.batch import Batch, Group

__all__ = ["DNGEncoder", "Encoded"]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What an encoder makes of a batch.

    Attributes:
        embedding: ``[batch, d]``, in the order of the streams.
        memories: for each stream the memories ``[n, hidden]`` of the last pass by node block id; only those
            of the output blocks where the others were not asked for.
    """

    embedding: Tensor
    memories: tuple[Mapping[int, Tensor], ...]


class DNGEncoder(nn.Module):
    """The encoder.

    Args:
        config: sizes and options; ``config.for_stream(stream)`` for ``per_step`` parameters.

    Raises:
        EncoderError: the configuration asks for ``per_step`` parameters and names no architecture.
    """

    def __init__(self, config: DNGConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DNGConfig()
        sets = parameter_sets(config)
        layout = config.layout if config.parameters == "per_step" else None
        self.message = message_function(config.message)
        self.fourier = FourierFeatures(config.frequencies, config.fourier_scale)
        self.sources = (
            SourcesByRole(config.hidden) if layout is None else SourcesByPlace(layout.sources, config.hidden)
        )
        self.tags = TagVectors(None if layout is None else layout.tags, 2 * config.frequencies)
        extra = layout is None or layout.extra_features
        self.embeddings = NodeEmbeddings(config)
        self.passes = nn.ModuleList(
            EncoderPass(config, sets, first=p == 0, extra_features=extra) for p in range(config.passes)
        )
        self.readout = ReadoutHead(config)

    @classmethod
    def from_published(cls, state_dict: Mapping[str, Tensor], stream: EventStream) -> DNGEncoder:
        """An encoder with the parameters of a published checkpoint; see :func:`load_published`."""
        from wsgraph_encoders.published import load_published

        return load_published(state_dict, stream)

    def forward(self, batch: Batch, *, memories: bool = True) -> Encoded:
        """Encode a batch of networks.

        Args:
            batch: of :func:`wsgraph_encoders.collate`.
            memories: False keeps memories until their last use only, except the output nodes'.

        Raises:
            CheckpointError: a weight is NaN or infinite; the message names the parameter.
            EncoderError: ``per_step`` parameters are for another architecture.
        """
        results: list[tuple[Tensor, Mapping[int, Tensor]] | None] = [None] * batch.size
        groups = [group.fresh(self.fourier.b.device) for group in batch.groups]
        for group, (embedding, kept) in zip(groups, self._encode_all(groups, keep=memories), strict=True):
            for row, position in enumerate(group.positions):
                own = {block: memory[row] for block, memory in kept.items()}
                results[position] = embedding[row], own
        found = [result for result in results if result is not None]
        widths = sorted({embedding.shape[-1] for embedding, _ in found})
        if len(widths) > 1:
            raise EncoderError(
                f"the embeddings of this batch have different widths, {widths}: networks differ in outputs",
                remedy="use per_kind parameters, or the readout 'mean'",
            )
        return Encoded(torch.stack([embedding for embedding, _ in found]), tuple(kept for _, kept in found))

    def _encode_all(
        self, groups: list[Group], *, keep: bool
    ) -> Iterable[tuple[Tensor, Mapping[int, Tensor]]]:
        fused = self.message.fused(self.fourier.b) if isinstance(self.message, AutomaticMessage) else None
        if fused is not None and len(groups) > 1:
            from wsgraph_encoders.triton.together import encode_together

            return encode_together(self, groups, fused, keep=keep)
        return (self.encode_group(group, keep=keep) for group in groups)

    def encode_group(self, group: Group, *, keep: bool) -> tuple[Tensor, Mapping[int, Tensor]]:
        """Embedding ``[streams, d]`` and memories ``[streams, n, hidden]`` by block of one group.

        Args:
            group: streams of one architecture; see :meth:`wsgraph_encoders.batch.Group.fresh`.
            keep: whether to keep all memories until the end.
        """
        memories: dict[int, Tensor] | None = None
        history = self.readout.history()
        for number in range(len(self.passes)):
            last = number == len(self.passes) - 1
            memories = self._pass(group, number, memories, history if last else None, keep=keep or not last)
        assert memories is not None
        return self.read(group, memories, history)

    def read(
        self, group: Group, memories: Mapping[int, Tensor], history: History | None
    ) -> tuple[Tensor, Mapping[int, Tensor]]:
        """Embedding, and memories with the batch expanded, of a group after the last pass.

        Args:
            group: the streams.
            memories: those of the last pass.
            history: what the readout reads beside them; None for ``last``.
        """
        count = len(group.streams)
        memories = {block: memory.expand(count, -1, -1) for block, memory in memories.items()}
        outputs = torch.cat([memories[block] for block in group.program.outputs], 1)
        past = None if history is None else history.stacked(count)
        return self.readout(outputs, past), memories

    def setting(self, group: Group) -> Setting:
        """What all steps of a pass over a group have in common."""
        return Setting(group, self.message, self.fourier.frequencies, self.tags.by_tag(group.structure))

    def _pass(
        self,
        group: Group,
        number: int,
        before: Mapping[int, Tensor] | None,
        history: History | None,
        *,
        keep: bool,
    ) -> dict[int, Tensor]:
        setting = self.setting(group)
        encode, memories, place = self.passes[number], dict[int, Tensor](), 0
        assert isinstance(encode, EncoderPass)
        for stretch in stretches(group.program.bundles, len(group.streams), self.config.hidden):
            inner = [steps for steps in stretch if steps[0].links]
            shifts = [self.embeddings(steps[0], group.program) for steps in inner] if before is None else None
            ahead = encode.work_ahead(setting, inner, shifts)
            for steps in stretch:
                blocks, step = [step.node.id for step in steps], steps[0]
                if step.links:
                    past = None if before is None else torch.cat([before[block] for block in blocks], 1)
                    memory = encode(setting, steps, memories, ahead, past)
                    if history is not None:
                        history.add(step.node.t, memory)
                else:
                    memory = self.sources(step, place)  # shared by all streams
                    place += 1
                sizes = [step.node.size for step in steps]
                parts = torch.split_with_sizes(memory, sizes, 1) if len(steps) > 1 else (memory,)
                memories.update(zip(blocks, parts, strict=True))
                for dead in () if keep else (block for step in steps for block in step.dead):
                    del memories[dead]
        return memories
