"""Checkpoints of the paper's released encoder, under the names that it gives its parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

from wsgraph_encoders.config import DNGConfig, Layout
from wsgraph_encoders.dng import DNGEncoder
from wsgraph_encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from wsgraph.events.stream import EventStream

__all__ = ["load_published"]

_LAYER = re.compile(r"(edge_lin|node_lin|src_node_lin|input_lin|dst_node_lin|mapping|norm)_(\d+)_(\d+)\.(.+)")
_CELL = re.compile(r"rnn_(\d+)\.(.+)")
_WHOLE = {
    "fourier_layer.b": "fourier.b",
    "input_init_node": "sources.vectors.0",
    "act_emb": "embeddings.activation.weight",
}
_PADDING = "paddings"
_ACTIVATIONS = ("relu", "tanh")
"""The rows of the published ``act_emb``."""


def load_published(state_dict: Mapping[str, Tensor], stream: EventStream) -> DNGEncoder:
    """An encoder with the parameters of a published checkpoint.

    Args:
        state_dict: the checkpoint: ``edge_lin_0_0.weight``, ``rnn_0.input_map.weight``, ...
        stream: a network of the architecture that it encodes: a chain of layers.

    Returns:
        The encoder, with ``per_step`` parameters; layer l of the checkpoint is timestamp l + 1.

    Raises:
        EncoderError: the names or shapes are not those of a published encoder, or the stream is of another
            architecture.
    """
    config = _config(state_dict, Layout.of(stream))
    encoder = DNGEncoder(config)
    own = encoder.state_dict()
    renamed = dict(_renamed(state_dict, padded=config.heads is not None))
    if "embeddings.activation.weight" in renamed:
        # Other activations than the published two add nothing.
        renamed["embeddings.activation.weight"] = nn.functional.pad(
            renamed["embeddings.activation.weight"], (0, 0, 0, 1)
        )
    renamed["tags.vectors"] = own["tags.vectors"]  # published encoders read chains, without learned edges
    _check(renamed, own, stream)
    encoder.load_state_dict(renamed)
    return encoder


def _config(state: Mapping[str, Tensor], layout: Layout) -> DNGConfig:
    try:
        frequencies = state["fourier_layer.b"].shape[-1]
        hidden = state["input_init_node"].shape[-1]
        edge_width = state["edge_lin_0_0.weight"].shape[0]
        heads = (
            state["mapping_0_0.0.weight"].shape[1] // edge_width if "mapping_0_0.0.weight" in state else None
        )
    except (KeyError, IndexError) as error:
        raise EncoderError(
            f"this is no checkpoint of a published encoder: {error} is missing or malformed",
            remedy="pass its state_dict, with names such as fourier_layer.b, edge_lin_0_0.weight",
        ) from error
    passes = 1 + max((int(m[1]) for name in state if (m := _CELL.fullmatch(name))), default=0)
    return DNGConfig(
        parameters="per_step",
        layout=layout,
        frequencies=frequencies,
        hidden=hidden,
        edge_width=edge_width,
        heads=heads,
        passes=passes,
        activation_embeddings="act_emb" in state,
        activation_of="network",
        activations=_ACTIVATIONS,
    )


def _renamed(state: Mapping[str, Tensor], *, padded: bool) -> Iterator[tuple[str, Tensor]]:
    suffix = "heads" if padded else "m1"
    parts = {"edge_lin": "edge", "node_lin": "node", "src_node_lin": "node", "mapping": "mapping"}
    for name, tensor in state.items():
        if layer := _LAYER.fullmatch(name):
            part, number, rest = layer[1], layer[2], layer[4]
            key = f"t{int(layer[3]) + 1}"
            if part in parts:
                yield f"passes.{number}.messages.{key}_{suffix}.{parts[part]}.{rest}", tensor
            else:
                yield f"passes.{number}.{'norm' if part == 'norm' else 'own'}.{key}.{rest}", tensor
        elif cell := _CELL.fullmatch(name):
            yield f"passes.{cell[1]}.rnn.{cell[2]}", tensor
        elif name in _WHOLE:
            yield _WHOLE[name], tensor
        elif name != _PADDING:
            raise EncoderError(f"{name!r} is no parameter of a published encoder")


def _check(found: Mapping[str, Tensor], own: Mapping[str, Tensor], stream: EventStream) -> None:
    missing = sorted(own.keys() - found.keys())
    extra = sorted(found.keys() - own.keys())
    shapes = [name for name in own.keys() & found.keys() if own[name].shape != found[name].shape]
    if missing or extra or shapes:
        raise EncoderError(
            f"the checkpoint does not fit a stream of {stream.num_timestamps} timestamps: "
            f"{len(missing)} parameters missing {missing[:3]}, {len(extra)} left over {extra[:3]}, "
            f"{len(shapes)} of another shape {sorted(shapes)[:3]}",
            remedy="pass a stream of the architecture that the checkpoint was trained for",
        )
