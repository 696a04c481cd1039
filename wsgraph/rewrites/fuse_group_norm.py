"""Group normalisation, written out by a normalisation of the groups as if each were one channel."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch

from wsgraph.ir.graph import Op, Value, ValueKind
from wsgraph.rewrites.dce import remove_dead_code
from wsgraph.rewrites.matching import Matcher, replace_each

if TYPE_CHECKING:
    from wsgraph.ir.graph import Graph

__all__ = ["fuse_group_norm"]

aten = torch.ops.aten

_VIEWS = ("aten.reshape", "aten.unsqueeze")


def fuse_group_norm(graph: Graph) -> Graph:
    """``reshape(instance_norm(reshape(x))) * scale + shift`` to ``group_norm(x, groups, scale, shift)``."""
    graph = replace_each(graph, _normalised)
    matcher, ops = Matcher(graph), []
    for op in graph.ops:
        found = _affine(op, matcher)
        ops += [op] if found is None else _with_affine(op, *found)
    graph.ops = ops
    return remove_dead_code(graph)


def _normalised(op: Op, matcher: Matcher) -> tuple[Any, str, tuple[Any, ...]] | None:
    """The part without scale and shift; over a whole group ``layer_norm`` is ``instance_norm``."""
    if op.key != "aten.reshape":
        return None
    norm = matcher.made_by(op.args[0], "aten.instance_norm", "aten.layer_norm")
    if norm is None or not _is_plain(norm):
        return None
    parted = matcher.made_by(norm.args[0], "aten.reshape")
    if parted is None or parted.args[0].shape != op.outputs[0].shape:
        return None
    x, groups = parted.args[0], parted.outputs[0].shape
    if len(x.shape) < 2 or len(groups) < 3 or groups[0] != x.shape[0] or x.shape[1] % groups[1]:
        return None
    return aten.group_norm.default, "aten.group_norm", (x, groups[1], None, None, norm.arguments["eps"])


def _is_plain(norm: Op) -> bool:
    """Whether each group is normalised by itself, by its own statistics, and nothing else is done to it."""
    arguments = norm.arguments
    if arguments["weight"] is not None or arguments["bias"] is not None:
        return False
    if norm.key == "aten.layer_norm":
        return list(arguments["normalized_shape"]) == list(norm.args[0].shape[2:])
    return bool(arguments["use_input_stats"]) and arguments["running_mean"] is None


def _affine(op: Op, matcher: Matcher) -> tuple[Op, Value, Value] | None:
    """The normalisation that an operator adds a shift to, its scale, and the shift."""
    if op.key != "aten.add" or op.kwargs or len(op.args) != 2:
        return None
    for scaled, shift in (op.args, op.args[::-1]):
        product = matcher.made_by(scaled, "aten.mul")
        if product is None or matcher.only_user(scaled) is not op:
            continue
        for value, scale in (product.args, product.args[::-1]):
            norm = matcher.made_by(value, "aten.group_norm")
            if norm is None or norm.arguments["weight"] is not None or norm.arguments["bias"] is not None:
                continue
            found = [_each_channel(p, value.shape, matcher) for p in (scale, shift)]
            if matcher.only_user(value) is product and found[0] is not None and found[1] is not None:
                return norm, found[0], found[1]
    return None


def _each_channel(value: Any, shape: tuple[int, ...], matcher: Matcher) -> Value | None:
    """The parameter behind a value that has a number for each channel (dimension 1) of a shape."""
    if not isinstance(value, Value):
        return None
    full = (1,) * (len(shape) - len(value.shape)) + value.shape
    if full != (1, shape[1], *(1,) * (len(shape) - 2)):
        return None
    while (view := matcher.made_by(value, *_VIEWS)) is not None:
        value = view.args[0]
    return value if value.kind is ValueKind.PARAMETER and prod(value.shape) == shape[1] else None


def _with_affine(op: Op, norm: Op, scale: Value, shift: Value) -> list[Op]:
    """The normalisation with both, which exporters store as ``[channels, 1, 1]``, and ATen takes flat."""
    views, flat = [], []
    for role, p in (("scale", scale), ("shift", shift)):
        flat.append(p)
        if len(p.shape) != 1:
            flat[-1] = Value(f"{op.outputs[0].name}_{role}", (prod(p.shape),), p.dtype)
            views.append(Op("aten.reshape", aten.reshape.default, (p, [-1]), {}, [flat[-1]], op.scope))
    x, groups, eps = (norm.arguments[name] for name in ("input", "num_groups", "eps"))
    arguments = (x, groups, *flat, eps)
    return [*views, Op(norm.key, norm.target, arguments, {}, op.outputs, norm.scope)]
