"""What kernels have in common: products in the precision asked for, phases, sums over a block's strays."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["any_of", "operand_layout", "phase_of", "product", "rounded", "wide"]


@triton.jit
def rounded(x, PRECISION: tl.constexpr):
    """An operand as tensor cores read it; the interpreter's own product would not round it."""
    if PRECISION == "bf16":
        x = x.to(tl.bfloat16)
    elif PRECISION == "bf16 emulated":
        x = x.to(tl.bfloat16).to(tl.float32)
    elif PRECISION == "tf32 emulated":
        x = ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return x


@triton.jit
def product(a, b, total, PRECISION: tl.constexpr):
    """``total`` plus the matrix product, with float32 sums."""
    if PRECISION == "ieee" or PRECISION == "tf32" or PRECISION == "tf32x3":
        total = tl.dot(a, b, total, input_precision=PRECISION)
    else:
        total = tl.dot(rounded(a, PRECISION), rounded(b, PRECISION), total)
    return total


@triton.jit
def operand_layout(x, PARTS: tl.constexpr, BR: tl.constexpr, BS: tl.constexpr):
    """The same numbers in the registers in which tensor cores leave a result and read an operand.

    What follows element by element stays there, so that the terms of a recurrence need not go through shared
    memory one by one. It is the product with the identity, exact: numbers are cut into parts of bfloat16's
    precision, which tf32 holds, and of which float32 takes three.
    """
    identity = (tl.arange(0, BS)[:, None] == tl.arange(0, BS)[None, :]).to(tl.float32)
    total = tl.zeros((BR, BS), tl.float32)
    for _ in tl.static_range(PARTS):
        part = x.to(tl.bfloat16).to(tl.float32)
        total = tl.dot(part, identity, total, input_precision="tf32")
        x -= part
    return total


@triton.jit
def phase_of(w, b):
    """2πbw, as :func:`wsgraph_encoders.fourier.fourier_phase` has it."""
    return 6.283185307179586 * (tl.minimum(tl.maximum(w, -1e30), 1e30) * b)


@triton.jit
def any_of(mask):
    """Whether any element of a two-dimensional mask is set."""
    return tl.max(tl.max(mask.to(tl.int32), 1), 0) > 0


@triton.jit
def wide(i):
    """An index in 64 bits: products with strides of large matrices overflow 32."""
    return tl.full((), 0, tl.int64) + i
