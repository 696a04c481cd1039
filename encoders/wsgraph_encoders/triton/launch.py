"""How kernels are launched: precision, block sizes, shares, and how operators are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch
from torch.library import custom_op, triton_op
from triton.runtime.jit import JITFunction

from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.triton.kernels.single import single_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch._library.custom_ops import CustomOpDef

__all__ = [
    "INTERPRETED",
    "PRECISIONS",
    "Blocks",
    "Precision",
    "blocks_for",
    "head_block",
    "kernel_precision",
    "message_op",
    "multi_blocks",
    "parts_of",
    "shares_for",
    "tuning_size",
]

Precision: TypeAlias = Literal["torch", "ieee", "tf32x3", "tf32", "bf16"]
"""Of the operands of products; sums are in float32 in all of them. ``torch`` follows
``torch.set_float32_matmul_precision``: highest is tf32x3, high tf32, medium bf16."""

PRECISIONS: tuple[Precision, ...] = ("torch", "ieee", "tf32x3", "tf32", "bf16")

_BY_SETTING = {"highest": "tf32x3", "high": "tf32", "medium": "bf16"}
_INTERPRETED_AS = {"ieee": "ieee", "tf32x3": "ieee", "tf32": "tf32 emulated", "bf16": "bf16 emulated"}

INTERPRETED: bool = not isinstance(single_kernel, JITFunction)
"""Whether Triton's interpreter runs the kernels (``TRITON_INTERPRET=1``)."""

_TUNED = 1 << 18
"""Weights of a matrix from which on trying out block sizes pays."""
_PROGRAMS = 528
"""Programs that fill a GPU: four on each of an H200's 132 multiprocessors."""


class Blocks(NamedTuple):
    """Block sizes of a launch, and Triton's options.

    Attributes:
        rows: destinations.
        sources: sources.
        columns: of the message.
        options: ``num_warps`` and ``num_stages``.
    """

    rows: int
    sources: int
    columns: int
    options: dict[str, int]

    @property
    def constants(self) -> dict[str, int]:
        """Keywords of a launch of a single-edge kernel."""
        return {"BR": self.rows, "BS": self.sources, "BC": self.columns, **self.options}

    def grid(self, row_tiles: int, width: int, sources: int) -> tuple[int, int, int]:
        """Tiles of rows, tiles of columns, and shares of the sources."""
        columns = -(-width // self.columns)
        return row_tiles, columns, shares_for(row_tiles * columns, sources, self.sources)


def kernel_precision(precision: str) -> str:
    """What the kernels are told; the interpreter rounds operands itself, where it is to.

    Torch's setting is looked up here, inside the operators, where ``torch.compile`` does not see it done.

    Raises:
        EncoderError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise EncoderError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "torch":
        precision = _BY_SETTING[torch.get_float32_matmul_precision()]
    return _INTERPRETED_AS[precision] if INTERPRETED else precision


def blocks_for(rows: int, width: int) -> Blocks:
    """Block sizes for matrices of so many rows and messages so wide."""
    columns = min(128, max(16, _power(width)))
    if INTERPRETED:
        return Blocks(16, 16, min(columns, 32), {})
    if rows <= 32:
        return Blocks(32, 32, columns, {"num_warps": 4, "num_stages": 2})
    if rows <= 64:
        return Blocks(64, 32, columns, {"num_warps": 4, "num_stages": 2})
    return Blocks(128, 32, columns, {"num_warps": 8, "num_stages": 2})


def parts_of(weights: Tensor) -> int:
    """Into how many bfloat16 numbers a weight can be cut without loss."""
    return {torch.bfloat16: 1, torch.float16: 2}.get(weights.dtype, 3)


def tuning_size(rows: int, sources: int) -> int:
    """Zero for matrices whose block sizes are fixed, else the class of size that they are tuned for."""
    if INTERPRETED or rows <= 64 or rows * sources < _TUNED:
        return 0
    return 1 if rows * sources < 64 * _TUNED else 2


def multi_blocks(rows: int, width: int) -> Blocks:
    """Block sizes of the multi-edge kernels, whose sources go one by one."""
    columns = min(128, max(16, _power(width)))
    if INTERPRETED:
        return Blocks(16, 1, min(columns, 32), {})
    return Blocks(32 if rows <= 32 else 64, 1, columns, {"num_warps": 4, "num_stages": 1})


def head_block(width: int) -> int:
    """Block size of a head of so many features, which is not divided."""
    return max(16, _power(width))


def shares_for(programs: int, sources: int, block: int) -> int:
    """In how many shares sources are divided so that few rows still fill the device."""
    if INTERPRETED:
        return max(1, min(2, -(-sources // block)))
    return max(1, min(-(-sources // (2 * block)), _PROGRAMS // max(programs, 1)))


def message_op(name: str) -> Callable[[Callable[..., Tensor | tuple[Tensor, ...]]], CustomOpDef]:
    """Register an operator of namespace ``wsgraph_encoders``.

    Compiled kernels are visible to ``torch.compile`` (``triton_op``); interpreted ones have none of what it
    would have to see, so that the operator is opaque then.
    """
    register = custom_op if INTERPRETED else triton_op
    return register(f"wsgraph_encoders::{name}", mutates_args=())


def _power(size: int) -> int:
    return 1 << max(0, size - 1).bit_length()
