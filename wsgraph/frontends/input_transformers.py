"""Input shapes of transformers' models, from their configuration."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["transformers_inputs"]

_TOKENS = 16
_SAMPLES = 16000
"""One second of sound at the usual 16 kHz."""


def transformers_inputs(module: nn.Module) -> tuple[tuple[Tensor, ...], str] | None:
    """Inputs of batch size 1 for a transformers model, and a note; None for any other module.

    Encoder-decoders also get the mask and the decoder's tokens, in the order of ``forward``.
    """
    config: Any = getattr(module, "config", None)
    main = getattr(module, "main_input_name", None)
    if not isinstance(main, str) or not hasattr(config, "model_type"):
        return None
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    first = _main_input(main, config, dtype)
    if first is None:
        return None
    inputs = [first]
    if getattr(config, "is_encoder_decoder", False) and main == "input_ids":
        names = list(inspect.signature(module.forward).parameters)
        between = names[1 : names.index("decoder_input_ids") + 1] if "decoder_input_ids" in names else []
        # Mask and decoder tokens have the shape of the encoder's tokens; ones are valid for both.
        inputs += [torch.ones(1, _TOKENS, dtype=torch.int64) for _ in between]
    shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in inputs)
    return tuple(inputs), f"input assumed to be {shapes} ({main} of the {config.model_type} configuration)"


def _main_input(name: str, config: Any, dtype: torch.dtype) -> Tensor | None:
    """The tensor for the model's main input; None where the configuration does not say enough."""
    if name == "input_ids":
        return torch.zeros(1, _TOKENS, dtype=torch.int64)
    if name == "input_values":
        return torch.zeros(1, _SAMPLES, dtype=dtype)
    size = getattr(config, "image_size", None)
    if name != "pixel_values" or size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    return torch.zeros(1, getattr(config, "num_channels", 3), height, width, dtype=dtype)
