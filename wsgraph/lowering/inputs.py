"""Which dimension of a model's input holds neurons; the others are positions, the batch is neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.lowering.letters import parse_equation
from wsgraph.provenance.axes import Activation, Axis, Space, arange_along, varying_dims
from wsgraph.provenance.moves import IDENTITIES, MOVEMENTS, mover

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsgraph.ir.graph import Graph, Op, Value
    from wsgraph.lowering.builder import GraphBuilder

__all__ = ["input_state"]


def input_state(builder: GraphBuilder, graph: Graph, value: Value) -> Activation:
    """The activation of a model input.

    Floating-point inputs get input nodes, one a channel; token numbers are sites only, since an embedding
    has the vocabulary as its nodes.
    """
    shape = value.shape
    first = 1 if len(shape) > 1 else 0
    channel = _channel_dim(graph, value) if value.dtype.is_floating_point and shape else None
    axes = [
        Axis(arange_along(shape, d), Space(shape[d], value.name))
        for d in range(first, len(shape))
        if d != channel and shape[d] > 1
    ]
    if channel is not None:
        nodes = builder.add_nodes(shape[channel], role="input", input=value.name)
        axes.insert(0, Axis(arange_along(shape, channel, nodes.base)))
    return Activation(shape, tuple(axes))


def _channel_dim(graph: Graph, value: Value) -> int:
    rank = len(value.shape)
    if rank <= 2:
        return rank - 1
    default = 1 if rank >= 4 else rank - 1
    candidates = _first_contraction(graph, value)
    return default if default in candidates or not candidates else min(candidates)


def _first_contraction(graph: Graph, value: Value) -> set[int]:
    """The input's dimensions that the first layer contracts, followed by running data movement on labels."""
    labels: dict[Value, list[Tensor]] = {
        value: [arange_along(value.shape, d) for d in range(len(value.shape))]
    }
    for op in graph.ops:
        followed = [v for v in op.inputs() if v in labels]
        if not followed:
            continue
        rule = _CONTRACTED.get(op.key)
        if rule is not None:
            dims = rule(op, followed[0])
            return {d for d, t in enumerate(labels[followed[0]]) if set(varying_dims(t)) & dims}
        if len(followed) == 1 and followed[0] is op.args[0]:
            moved = _follow(op, labels[followed[0]])
            if moved is not None:
                labels[op.outputs[0]] = moved
    return set()


def _follow(op: Op, labels: list[Tensor]) -> list[Tensor] | None:
    if op.key in MOVEMENTS and len(op.outputs) == 1:
        move = mover(op, 0, lambda v: v.data)
        return [move(t) for t in labels]
    pointwise = torch.Tag.pointwise in getattr(op.target, "tags", ())
    if (pointwise or op.key in IDENTITIES) and op.outputs[0].shape == tuple(labels[0].shape):
        return labels
    return None


def _last(_op: Op, value: Value) -> set[int]:
    return {len(value.shape) - 1}


def _of_product(op: Op, value: Value) -> set[int]:
    """A matrix product contracts its left operand's last dimension, its right operand's last but one."""
    on_the_left = op.inputs()[0] is value or len(value.shape) == 1
    return {len(value.shape) - (1 if on_the_left else 2)}


def _by_letters(op: Op, value: Value) -> set[int]:
    """An einsum contracts the letters that its result has no more."""
    equation, operands = op.args[0], op.inputs()
    names, out = parse_equation(equation, [len(v.shape) for v in operands])
    own = names[operands.index(value)]
    return {d for d, letter in enumerate(own) if letter not in out}


def _before_spatial(spatial: int) -> Callable[[Op, Value], set[int]]:
    return lambda _op, value: {len(value.shape) - spatial - 1}


def _second(_op: Op, _value: Value) -> set[int]:
    return {1}


_CONTRACTED: dict[str, Callable[[Op, Value], set[int]]] = {
    **{f"aten.conv{n}d": _before_spatial(n) for n in (1, 2, 3)},
    **{f"aten.conv_transpose{n}d": _before_spatial(n) for n in (1, 2, 3)},
    "aten.linear": _last,
    "aten.matmul": _of_product,
    "aten.mm": _of_product,
    "aten.bmm": _of_product,
    "aten.addmm": _last,
    "aten.einsum": _by_letters,
    "aten.layer_norm": _last,
    "aten.rms_norm": _last,
    "aten.batch_norm": _second,
    "aten.group_norm": _second,
    "aten.instance_norm": _second,
    **{
        f"aten.{cell}{form}": _last
        for cell in ("rnn_tanh", "rnn_relu", "lstm", "gru")
        for form in ("", "_cell")
    },
    "aten.bilinear": _last,
}
