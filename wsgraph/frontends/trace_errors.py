"""Puts into words why a model cannot be traced: its input, its branches, or what it calls."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from wsgraph.errors import FrontendError, InputShapeError, WsgraphError
from wsgraph.frontends.input_guess import guess_inputs, runs_with
from wsgraph.frontends.input_spec import spec_text
from wsgraph.frontends.quiet import first_line
from wsgraph.frontends.symbolic import data_dependent, is_data_dependent

if TYPE_CHECKING:
    from torch import nn

    from wsgraph.frontends.source import Source

__all__ = ["worded"]

_LEAVES_TORCH = (".numpy() is not supported", "Cannot access data pointer", "data_ptr", "DataPtr")
"""Signs, in torch's messages, of a forward that hands its tensors to something other than torch."""

_MISFITS = (RuntimeError, TypeError, ValueError, IndexError, AssertionError)
"""What a module raises when its input does not fit; other errors are mistakes in its code."""


def worded(source: Source, module: nn.Module, error: Exception, second: Exception) -> WsgraphError:
    """The error to show for a module that neither frontend traces.

    Args:
        source: where the module comes from, and the inputs it was traced with.
        module: the module.
        error: torch.export's.
        second: torch.fx's.
    """
    for own in (error, second):
        if isinstance(own, WsgraphError):
            return own
    reason = first_line(error)
    if is_data_dependent(error) or is_data_dependent(second):
        return data_dependent(reason)
    if any(sign in str(error) for sign in _LEAVES_TORCH):
        return FrontendError(
            f"the forward of {source.origin} leaves torch, so it cannot be followed: {reason}",
            remedy="write that part of the forward with torch's operators",
        )
    if count := _wrong_count(module, len(source.inputs)):
        return InputShapeError(f"{source.origin} {count}", remedy="give one --input for each of them")
    if isinstance(error, _MISFITS) and not runs_with(module, source.inputs):
        return InputShapeError(
            f"{source.origin} does not run on an input of {spec_text(source.inputs) or 'nothing'}: {reason}",
            remedy=_suggestion(module, source.origin),
        )
    return FrontendError(
        f"{source.origin} cannot be traced: torch.export says {reason}; torch.fx says {first_line(second)}",
        remedy="if its authors provide an exported program (.pt2), compile that",
    )


def _wrong_count(module: nn.Module, given: int) -> str:
    """What is wrong with the number of inputs; nothing if ``forward`` takes as many."""
    parameters = inspect.signature(module.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [p for p in parameters if p.kind in kinds]
    if any(p.kind not in kinds for p in parameters):
        return ""  # *args take any number, and torch.export passes keyword-only arguments on
    required = sum(p.default is p.empty for p in positional)
    if required <= given <= len(positional):
        return ""
    names = ", ".join(p.name for p in positional)
    number = f"{required}" if required == len(positional) else f"{required} to {len(positional)}"
    noun = "input" if number == "1" else "inputs"
    return f"takes {number} {noun} ({names}), got {given}"


def _suggestion(module: nn.Module, origin: str) -> str:
    """What to write instead: a shape that runs where one can be found."""
    try:
        examples, _ = guess_inputs(module, origin)
    except InputShapeError:
        return "give the shape that the model takes: --input 1x3x224x224 (one --input an argument)"
    options = " ".join(f"--input {spec_text((example,))}" for example in examples)
    return f"give a shape that the model takes, such as {options}"
