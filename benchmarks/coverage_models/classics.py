"""torch's own modules and well-known networks written the usual way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from coverage_models.case import Case, Inputs
from coverage_models.networks import KAN, MixtureOfExperts, MlpMixer, NeRF, UNet
from wsgraph.frontends.libraries import import_library

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["classic_cases"]

SEQUENCE = "1x12x8"


def recurrent(kind: str, **options: bool | int | str) -> tuple[nn.Module, Inputs]:
    """``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``."""
    return getattr(nn, kind)(8, 16, batch_first=True, **options), SEQUENCE


def encoder() -> tuple[nn.Module, Inputs]:
    """``nn.TransformerEncoder`` of two layers."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2), "1x10x16"


def decoder() -> tuple[nn.Module, Inputs]:
    """``nn.TransformerDecoder`` of two layers, with its memory."""
    layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerDecoder(layer, 2), ["1x10x16", "1x7x16"]


def lora(*, merged: bool) -> tuple[nn.Module, Inputs]:
    """A tiny Llama with low-rank adapters on its queries and values."""
    transformers, peft = import_library("transformers"), import_library("peft")
    config = transformers.LlamaConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=99
    )
    adapters = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(transformers.LlamaForCausalLM(config), adapters)
    return (model.merge_and_unload() if merged else model), "1x16:int64"


BUILDERS: dict[str, Callable[[], tuple[nn.Module, Inputs]]] = {
    "RNN tanh": partial(recurrent, "RNN"),
    "RNN relu, 2 layers, bidirectional": partial(
        recurrent, "RNN", nonlinearity="relu", num_layers=2, bidirectional=True
    ),
    "LSTM": partial(recurrent, "LSTM"),
    "LSTM, 2 layers, bidirectional, projection": partial(
        recurrent, "LSTM", num_layers=2, bidirectional=True, proj_size=6
    ),
    "GRU": partial(recurrent, "GRU"),
    "GRU, 2 layers, bidirectional": partial(recurrent, "GRU", num_layers=2, bidirectional=True),
    "TransformerEncoder": encoder,
    "TransformerDecoder": decoder,
    "Transformer": lambda: (nn.Transformer(16, 4, 2, 2, 32, batch_first=True), ["1x10x16", "1x7x16"]),
    "U-Net": lambda: (UNet(), "1x3x32x32"),
    "NeRF": lambda: (NeRF(), ["64x3", "64x3"]),
    "MLP-Mixer": lambda: (MlpMixer(), "1x3x32x32"),
    "KAN": lambda: (KAN((2, 5, 1)), "16x2"),
    "mixture of experts": lambda: (MixtureOfExperts(), "1x10x16"),
    "LoRA, unmerged": partial(lora, merged=False),
    "LoRA, merged": partial(lora, merged=True),
    "Embedding, EmbeddingBag, Bilinear": lambda: (_Bags(), ["1x6:int64", torch.zeros(1, 4)]),
}


class _Bags(nn.Module):
    """Averaged word vectors joined with features by a bilinear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(20, 5)
        self.join = nn.Bilinear(5, 4, 3)

    def forward(self, words: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """``[batch, words]`` and ``[batch, 4]`` to ``[batch, 3]``."""
        joined: torch.Tensor = self.join(self.words(words), features)
        return joined


def classic_cases() -> list[Case]:
    """One case a network."""
    return [Case("classics", name, name, build) for name, build in BUILDERS.items()]
