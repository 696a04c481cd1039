"""Works out a model's input shapes where that is safe, and says what was assumed.

A guess counts only if the model runs with it, on fake tensors: shapes are computed, numbers are not.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from wsgraph.errors import InputShapeError
from wsgraph.frontends.input_layers import Guess, layer_guesses
from wsgraph.frontends.input_spec import spec_text
from wsgraph.frontends.input_transformers import transformers_inputs
from wsgraph.frontends.quiet import first_line, quiet_torch
from wsgraph.frontends.symbolic import data_dependent, is_data_dependent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["float_dtype", "guess_inputs", "runs_with"]

_REMEDY = "give the shape of every input: --input 1x3x224x224, or --input 1x128:int64 for token numbers"


def float_dtype(module: nn.Module) -> torch.dtype:
    """The dtype of the first floating point parameter, for inputs that have to match it."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def guess_inputs(module: nn.Module, where: str) -> tuple[tuple[Tensor, ...], str]:
    """Example inputs of batch size 1 with which the model runs, and a note of what was assumed.

    Args:
        module: the model; it is left as it is.
        where: its name, for messages.

    Raises:
        InputShapeError: if the model takes several inputs, or no guess runs.
        FrontendError: if the forward branches on the data.
    """
    if found := transformers_inputs(module):
        return found
    required = _required_inputs(module)
    if required != 1:
        raise InputShapeError(
            f"{where} takes {required} inputs, whose shapes cannot be guessed", remedy=_REMEDY
        )
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    trial = _Trial(module)
    for (sizes, dtype), reason in _guesses(module):
        example = torch.zeros(sizes, dtype=dtype, device=device)
        if trial.runs(example):
            return (example,), f"input assumed to be {spec_text((example,))} ({reason})"
    raise InputShapeError(
        f"the input shape of {where} cannot be guessed: it runs with none of the usual ones"
        + (f" (the last try: {trial.failure})" if trial.failure else ""),
        remedy=_REMEDY,
    )


def runs_with(module: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether the module runs on inputs of these shapes and dtypes; nothing is computed."""
    return _Trial(module).runs(*inputs)


def _required_inputs(module: nn.Module) -> int:
    """Number of positional arguments that ``forward`` needs; one for ``forward(*args)``."""
    parameters = inspect.signature(module.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(p.kind in positional and p.default is p.empty for p in parameters)
    return count or int(any(p.kind is p.VAR_POSITIONAL or p.kind in positional for p in parameters))


class _Trial:
    """Runs a copy of a module, sharing its tensors, on fake inputs."""

    def __init__(self, module: nn.Module) -> None:
        shared = {id(t): t for t in (*module.parameters(), *module.buffers())}
        # A copy, for a forward pass may keep fake tensors in attributes; caches of rotary tables do.
        self._module = copy.deepcopy(module, shared).eval()
        self.failure = ""

    def runs(self, *examples: Tensor) -> bool:
        """Whether the forward pass accepts the shapes; ``failure`` says why it does not.

        Raises:
            FrontendError: the forward branches on the data.
        """
        fastpath = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # its fused operators have no fake twins
        try:
            with quiet_torch(), _fake_mode() as mode, torch.no_grad():
                self._module(*map(mode.from_tensor, examples))
        except Exception as error:  # a model given a wrong shape may raise anything
            self.failure = first_line(error, 160)
            if is_data_dependent(error):
                raise data_dependent(self.failure) from error
            return False
        finally:
            torch.backends.mha.set_fastpath_enabled(fastpath)
        return True


def _fake_mode() -> FakeTensorMode:
    """Static shapes; a number read out of a tensor stays symbolic, and fails where it decides something."""
    return FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv(), static_shapes=True)


def _guesses(module: nn.Module) -> Iterator[tuple[Guess, str]]:
    """Shapes to try, best first, each with the reason for it."""
    dtype = float_dtype(module)
    config: Any = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    settings = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
    if size := settings.get("input_size"):
        yield ((1, *size), dtype), "timm's configuration"
    if type(module).__module__.startswith("torchvision."):
        for side in (224, 299):
            yield ((1, 3, side, side), dtype), "usual for torchvision's models"
    yield from layer_guesses(module, dtype)
