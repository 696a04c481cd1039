"""Data movement: operators that rearrange elements and compute nothing.

None of them has a rule of its own: each is run on the labels, or on a parameter's layout.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgraph.errors import LoweringError
from wsgraph.ir.graph import Op, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["IDENTITIES", "MOVEMENTS", "PADDING", "mover", "only_shape_matters", "padded_dims"]

IDENTITIES = frozenset(
    f"aten.{name}"
    for name in (
        "alias", "clone", "contiguous", "detach", "dropout", "alpha_dropout", "feature_dropout",
        "feature_alpha_dropout", "native_dropout", "lift_fresh_copy", "lift_fresh", "to", "type_as",
        "_to_copy", "float", "half", "double", "bfloat16", "positive", "view_as_real_copy",
    )
)  # fmt: skip
"""Operators whose result is their first argument, as far as neurons are concerned."""

MOVEMENTS = frozenset(
    f"aten.{name}"
    for name in (
        "_reshape_alias", "_unsafe_view", "channel_shuffle", "chunk", "constant_pad_nd", "diagonal",
        "expand", "fft_fftshift", "fft_ifftshift", "flatten", "flip", "gather", "im2col", "index",
        "index_select", "matrix_H", "mH", "moveaxis", "movedim", "mT", "narrow", "narrow_copy",
        "native_channel_shuffle", "numpy_T", "pad", "permute", "pixel_shuffle", "pixel_unshuffle",
        "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "repeat", "repeat_interleave",
        "replication_pad1d", "replication_pad2d", "replication_pad3d", "reshape", "roll", "rot90", "select",
        "slice", "split", "split_with_sizes", "squeeze", "swapaxes", "swapdims", "t", "T", "take_along_dim",
        "tensor_split", "tile", "transpose", "unbind", "unfold", "unflatten", "unsafe_chunk", "unsafe_split",
        "unsafe_split_with_sizes", "unsqueeze", "view",
    )
)  # fmt: skip
"""Operators that are run on labels as they are."""

_FLOAT_ONLY = frozenset({"aten.im2col", "aten.pad"})
_AS_RESHAPE = frozenset({"aten.view", "aten._unsafe_view", "aten.reshape", "aten._reshape_alias"})
PADDING = frozenset({"aten.pad", "aten.constant_pad_nd"})


def padded_dims(pad: Sequence[int], rank: int) -> set[int]:
    """The dimensions to which amounts of padding, the last dimension first, add something."""
    return {rank - 1 - k for k in range(len(pad) // 2) if pad[2 * k] or pad[2 * k + 1]}


def only_shape_matters(key: str) -> bool:
    """Factory functions that take a tensor for its shape and type (``new_zeros``, ``ones_like``)."""
    name = key.removeprefix("aten.")
    return name != key and (name.startswith("new_") or name.endswith("_like"))


def mover(
    op: Op, position: int, constant: Callable[[Value], Tensor | None], padding: int = -1
) -> Callable[[Tensor], Any]:
    """A function that does to a label tensor what the operator does to its first argument.

    Args:
        op: a data-movement operator.
        position: which of its results is wanted.
        constant: values of constant arguments (index tensors).
        padding: the label that new elements get.
    """
    args = tuple(_real(a, constant, op) for a in op.args[1:])
    kwargs = {k: _real(v, constant, op) for k, v in op.kwargs.items()}
    if op.key in PADDING:
        args, kwargs = _pad_with(op, args, kwargs, padding)

    def move(labels: Tensor) -> Any:
        if op.key in _AS_RESHAPE:
            return labels.reshape(op.outputs[position].shape)
        if op.key in _FLOAT_ONLY and not labels.is_meta:
            # im2col pads with zeros whatever it is asked, so they are made to mean no neuron.
            shift = 1 if op.key == "aten.im2col" else 0
            result = op.target((labels + shift).double(), *args, **kwargs).to(labels.dtype) - shift
        else:
            result = _moved(op, labels, args, kwargs)
        return result[position] if isinstance(result, tuple | list) else result

    return move


def _moved(op: Op, labels: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return op.target(labels, *args, **kwargs)
    except IndexError as error:
        raise LoweringError(
            f"{op!r} takes elements that an input of shape {list(labels.shape)} does not have ({error})",
            remedy="give inputs of the shape that the model is for",
        ) from error


def _pad_with(
    op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], padding: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Constant padding inserts no neuron; reflection and the like repeat neurons and stay as they are."""
    arguments = op.arguments
    mode = arguments.get("mode", "constant")
    if mode == "constant":
        tail = ("constant", float(padding)) if op.key == "aten.pad" else (padding,)
        return (arguments["pad"], *tail), {}
    return args, kwargs


def _real(argument: Any, constant: Callable[[Value], Tensor | None], op: Op) -> Any:
    if isinstance(argument, list | tuple):
        return type(argument)(_real(a, constant, op) for a in argument)
    if not isinstance(argument, Value):
        return argument
    tensor = constant(argument)
    return _unknown(argument, op) if tensor is None else tensor


def _unknown(argument: Value, op: Op) -> Tensor:
    """A stand-in for an index traced on meta: how many elements it picks is known, which ones is not.

    It goes through all positions in turn, so that a table which is looked up counts as read.
    """
    first = op.args[0]
    arguments = op.arguments
    positions = arguments.get("indices")
    dim = positions.index(argument) if isinstance(positions, list | tuple) else arguments.get("dim", 0)
    size = first.shape[dim] if isinstance(first, Value) and isinstance(dim, int) else 1
    count = torch.arange(math.prod(argument.shape)).view(argument.shape) % size
    return count.to(argument.dtype)
