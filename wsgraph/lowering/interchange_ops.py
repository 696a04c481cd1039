"""Which operators treat the neurons that go into them alike, and along which dimensions operands meet."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, TypeAlias

from wsgraph.ir.graph import Op, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import Tensor

__all__ = [
    "ARG_REDUCTIONS",
    "HOMOGENEOUS",
    "PICKS",
    "PRODUCTS",
    "SITE_OPS",
    "UNDERSTOOD",
    "WRITES",
    "Operand",
    "coupling",
    "operands",
    "picked_alike",
    "picked_dims",
    "written_dims",
]

Operand: TypeAlias = tuple[Value, list[int]]
"""A value and, for each of its dimensions, a number; operands vary together along equal numbers."""

_ELEMENTWISE = frozenset(
    f"aten.{name}"
    for name in (
        "softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax", "masked_fill", "hardswish",
        "log_sigmoid", "floor_divide", "where", "prelu", "cumsum", "cumprod", "logcumsumexp", "copy",
    )
)  # fmt: skip
_LAYERS = frozenset(
    f"aten.{name}"
    for name in ("linear", "matmul", "mm", "bmm", "mv", "addmm", "baddbmm", "einsum", "embedding")
)
_CONVOLUTIONS = {f"aten.{name}{n}d": n for n in (1, 2, 3) for name in ("conv", "conv_transpose")}
_ATTENTION = "aten.scaled_dot_product_attention"
_NORMS = frozenset(
    f"aten.{name}"
    for name in (
        "layer_norm", "native_layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm",
    )
)  # fmt: skip
_REDUCTIONS = frozenset(
    f"aten.{name}"
    for name in (
        "mean", "sum", "amax", "amin", "prod", "var", "std", "logsumexp", "norm", "linalg_vector_norm",
        "var_mean", "std_mean", "all", "any", "count_nonzero", "max", "min",
    )
)  # fmt: skip
_POOLINGS = {
    **{
        f"aten.{name}{n}d": n
        for n in (1, 2, 3)
        for name in ("avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool", "lp_pool")
    },
    "aten._adaptive_avg_pool2d": 2, "aten._adaptive_avg_pool3d": 3, "aten.upsample_nearest1d": 1,
    "aten.upsample_linear1d": 1, "aten.upsample_nearest2d": 2, "aten.upsample_bilinear2d": 2,
    "aten.upsample_bicubic2d": 2, "aten._upsample_nearest_exact2d": 2, "aten._upsample_bilinear2d_aa": 2,
    "aten._upsample_bicubic2d_aa": 2, "aten.upsample_nearest3d": 3, "aten.upsample_trilinear3d": 3,
}  # fmt: skip

_JOINS = frozenset({"aten.cat", "aten.concat", "aten.stack", "aten.slice_scatter", "aten.select_scatter"})

ARG_REDUCTIONS = frozenset({"aten.argmax", "aten.argmin", "aten.median"})
"""Reductions whose result tells a position."""

SITE_OPS: dict[str, int] = {**_CONVOLUTIONS, **_POOLINGS, "aten.tril": 2, "aten.triu": 2}
"""Operators that take the last so many dimensions for positions: neurons there have an order."""

_GATHERS = frozenset({"aten.gather", "aten.take_along_dim"})
PICKS = frozenset({"aten.index", "aten.index_select"}) | _GATHERS
"""Movements by positions that the input may decide."""

_SCATTERS = frozenset({"aten.scatter", "aten.scatter_add", "aten.scatter_reduce"})
WRITES = _SCATTERS | {"aten.index_put", "aten.index_add", "aten.index_copy", "aten.index_reduce"}
"""Operators that write one tensor into another, at positions that the input may decide."""

_EXPERTS = frozenset({"aten._grouped_mm", "transformers.grouped_mm_fallback"})
"""Rows of one matrix times a weight an expert: which neurons are which expert's, the labels say."""

UNDERSTOOD = (
    _EXPERTS
    | _ELEMENTWISE
    | _LAYERS
    | _NORMS
    | _REDUCTIONS
    | _JOINS
    | WRITES
    | {_ATTENTION, "aten.glu"}
    | frozenset(SITE_OPS)
)
"""Operators that treat neurons alike but for what edges, :func:`coupling` and :func:`operands` say."""

_LINEAR = _LAYERS | frozenset(_CONVOLUTIONS) | _JOINS | {"aten.mul", "aten.div", "aten.neg", "aten.mean"}
_AVERAGES = frozenset(key for key in _POOLINGS if "avg" in key or "linear" in key or "nearest" in key)

PRODUCTS = frozenset({"aten.mul", "aten.div"})
"""Operators of the sets below that are linear in one operand only."""

HOMOGENEOUS: dict[str, frozenset[str]] = {
    "positive_scale": _LINEAR
    | frozenset(key for key in _POOLINGS if "cubic" not in key)
    | {f"aten.{name}" for name in ("relu", "leaky_relu", "amax", "amin", "sum")},
    "sign": _LINEAR
    | _AVERAGES
    | {f"aten.{n}" for n in ("tanh", "sin", "asin", "atan", "sinh", "asinh", "atanh", "erf", "sum")},
}
"""Operators on a neuron that commute with a scale of it; whatever weights the neuron meets take part."""

_FIXED = 1 << 20
"""Numbers from here on are an operand's own: nothing else varies with them."""


def operands(op: Op, *, pointwise: bool) -> list[Operand]:
    """The tensor arguments of an operator whose elements meet, with the dimensions along which they do."""
    rule = _RULES.get(op.key)
    if rule is not None:
        return rule(op)
    if pointwise or op.key in _ELEMENTWISE:
        return [(v, _aligned(v)) for v in op.inputs()]
    return []


def _aligned(value: Value) -> list[int]:
    """Broadcasting aligns last dimensions."""
    return [len(value.shape) - d for d in range(len(value.shape))]


def _product(value: Value, contracted: int) -> list[int]:
    """The last dimension is contracted; the others align from the right."""
    numbers = [n + 1 for n in _aligned(value)]
    return [*numbers[:-1], contracted]


def _linear(op: Op) -> list[Operand]:
    x, weight = op.arguments["input"], op.arguments["weight"]
    return [(x, _product(x, 0)), (weight, [_FIXED, 0])]


def _matrix_product(op: Op) -> list[Operand]:
    """``[*batch, m, k] @ [*batch, k, n]``, with something added to the result or not."""
    left, right = op.inputs()[-2:]
    out: list[Operand] = [(left, [*_batch(left), 1, 0][-len(left.shape) :])]
    columns = [0] if len(right.shape) == 1 else [*_batch(right), 0, 2]
    out.append((right, columns))
    if len(op.inputs()) > 2:
        added = op.inputs()[0]
        out.append((added, [*_batch(added), 1, 2][-len(added.shape) :] if added.shape else []))
    return out


def _batch(value: Value) -> list[int]:
    return [len(value.shape) + 10 - d for d in range(len(value.shape) - 2)]


def _attention(op: Op) -> list[Operand]:
    """Queries and keys meet along channels, and everything along heads."""
    given = op.arguments
    q, k, v = (given[name] for name in ("query", "key", "value"))
    out: list[Operand] = [(q, [*_batch(q), 1, 0]), (k, [*_batch(k), 2, 0]), (v, [*_batch(v), 2, 3])]
    mask = given.get("attn_mask")
    if isinstance(mask, Value):
        out.append((mask, [*_batch(mask), 1, 2][-len(mask.shape) :]))
    return out


def _einsum(op: Op) -> list[Operand]:
    left = str(op.arguments["equation"]).replace(" ", "").partition("->")[0]
    out: list[Operand] = []
    for value, letters in zip(op.inputs(), left.split(","), strict=True):
        before, dots, after = letters.partition("...")
        width = len(value.shape) - len(before) - len(after)
        middle = [100 + width - k for k in range(width)] if dots else []
        numbers = [string.ascii_letters.index(c) for c in before]
        out.append((value, [*numbers, *middle, *(string.ascii_letters.index(c) for c in after)]))
    return out


def _convolution(op: Op) -> list[Operand]:
    """Channels meet a filter that is no parameter wherever either has more than one."""
    x, weight = op.arguments["input"], op.arguments["weight"]
    spatial = len(weight.shape) - 2
    numbers = [_FIXED + d for d in range(len(x.shape))]
    numbers[len(x.shape) - spatial - 1] = 0
    return [(x, numbers), (weight, [0, *range(_FIXED * 2, _FIXED * 2 + spatial + 1)])]


def picked_dims(op: Op, constant: Callable[[Value], Tensor | None] | None = None) -> set[int]:
    """The dimensions of its first operand from which one of :data:`PICKS` picks, or :data:`WRITES` writes.

    Args:
        op: the operator.
        constant: values of constants, to leave out dimensions of which it is known what is picked where: all
            channels, say, of a pixel that the input decides.
    """
    given, rank = op.arguments, len(op.inputs()[0].shape)
    if "indices" in given and isinstance(given["indices"], list | tuple):
        indices = {d: index for d, index in enumerate(given["indices"]) if index is not None}
        return {d for d, index in indices.items() if constant is None or constant(index) is None}
    dim = given["dim"]
    return set(range(rank)) if dim is None else {int(dim) % rank}


def picked_alike(op: Op, dims: Collection[int]) -> bool:
    """Whether ``index`` takes the same along some dimensions wherever its other indices differ."""
    indices = op.arguments.get("indices")
    if not isinstance(indices, list | tuple):
        return True
    rank = max(len(index.shape) for index in indices if index is not None)
    varying = [
        {d + rank - len(index.shape) for d, n in enumerate(index.shape) if n > 1}
        if index is not None
        else set()
        for index in indices
    ]
    picked, others = (
        {d for k, v in enumerate(varying) if (k in dims) is inside for d in v} for inside in (True, False)
    )
    return not picked & others


def written_dims(op: Op) -> set[int]:
    """The dimensions of what one of :data:`WRITES` writes that lie where its index says."""
    dims, (first, *indices, written) = picked_dims(op), op.inputs()
    if "indices" not in op.arguments:
        return dims
    stop = len(written.shape) - (len(first.shape) - max(dims) - 1)
    return set(range(max(0, stop - max(len(index.shape) for index in indices)), stop))


def _by_position(op: Op) -> list[Operand]:
    """All tensors have the same dimensions, but those along which elements are picked or written."""
    dims = picked_dims(op)
    return [
        (value, [_FIXED * (k + 1) + d if d in dims else d for d in range(len(value.shape))])
        for k, value in enumerate(op.inputs())
    ]


def _by_index(op: Op) -> list[Operand]:
    """What is written has the dimensions that the indices give it, and around them those of the rest."""
    dims = picked_dims(op)
    first, *indices, written = op.inputs()
    rank = len(first.shape)
    behind = list(range(max(dims) + 1, rank))
    before = list(range(min(dims)))
    middle = [_FIXED + d for d in range(max(len(index.shape) for index in indices))]
    return [
        (first, [_FIXED * 2 + d if d in dims else d for d in range(rank)]),
        *(
            (index, [_FIXED * (k + 3) + d for d in range(len(index.shape))])
            for k, index in enumerate(indices)
        ),
        (written, [*before, *middle, *behind][-len(written.shape) :] if written.shape else []),
    ]


def coupling(op: Op) -> Iterator[tuple[Value, tuple[int, ...], int]]:
    """What an operator computes of several neurons together.

    Yields:
        The value, the dimensions along which its elements are taken together, and how many consecutive
        groups they form (1 but for group normalisation).
    """
    given = op.arguments
    value = op.inputs()[0]
    rank = len(value.shape)
    if op.key in {"aten.layer_norm", "aten.native_layer_norm", "aten.rms_norm"}:
        yield value, tuple(range(rank - len(given["normalized_shape"]), rank)), 1
    elif op.key == "aten.group_norm":
        yield value, tuple(range(1, rank)), int(given["num_groups"])
    elif op.key == "aten.instance_norm":
        yield value, tuple(range(2, rank)), 1
    elif "softmax" in op.key:
        yield value, (int(given["dim"]) % rank,), 1


_RULES: dict[str, Callable[[Op], list[Operand]]] = {
    _ATTENTION: _attention,
    "aten.einsum": _einsum,
    "aten.linear": _linear,
    **dict.fromkeys(_GATHERS | _SCATTERS, _by_position),
    **dict.fromkeys(WRITES - _SCATTERS, _by_index),
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys(
        (f"aten.{n}" for n in ("matmul", "mm", "bmm", "mv", "addmm", "baddbmm")), _matrix_product
    ),
}
