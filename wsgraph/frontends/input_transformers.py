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
_FRAMES = 128


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
    if getattr(config, "is_encoder_decoder", False):
        names = list(inspect.signature(module.forward).parameters)
        between = names[1 : names.index("decoder_input_ids") + 1] if "decoder_input_ids" in names else []
        # Ones are valid for masks and tokens; a mask is as long as what it masks.
        lengths = (_TOKENS if name == "decoder_input_ids" else first.shape[-1] for name in between)
        inputs += [torch.ones(1, length, dtype=torch.int64) for length in lengths]
    shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in inputs)
    return tuple(inputs), f"input assumed to be {shapes} ({main} of the {config.model_type} configuration)"


def _main_input(name: str, config: Any, dtype: torch.dtype) -> Tensor | None:
    """The tensor for the model's main input; None where the configuration does not say enough."""
    if name == "input_ids":
        return torch.zeros(1, _TOKENS, dtype=torch.int64)
    if name == "input_values":
        return torch.zeros(1, _SAMPLES, dtype=dtype)
    if name == "input_features" and hasattr(config, "num_mel_bins"):
        # Speech encoders halve the number of frames before their positions.
        frames = 2 * int(getattr(config, "max_source_positions", _FRAMES // 2))
        return torch.zeros(1, config.num_mel_bins, frames, dtype=dtype)
    size = getattr(config, "image_size", None)
    if name != "pixel_values" or size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    return torch.zeros(1, getattr(config, "num_channels", 3), height, width, dtype=dtype)
