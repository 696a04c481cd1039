"""Where an experiment computes."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

from wsgraph_encoders.errors import EncoderError

__all__ = ["DeviceName", "choose_device"]

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """The device of a name; ``auto`` is a GPU where there is one.

    Raises:
        EncoderError: a GPU is asked for and torch sees none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise EncoderError(
            "torch sees no CUDA device", remedy="leave --device out, or install a CUDA build of torch"
        )
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
