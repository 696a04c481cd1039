"""Data movement: operators that rearrange elements and compute nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten


@operator("Reshape")
def _reshape(node: Node) -> Any:
    x = node.x()
    shape = node.ints("shape", 1) or []
    if not node.attr("allowzero", 0):
        shape = [x.shape[k] if n == 0 else n for k, n in enumerate(shape)]
    return node.call(aten.reshape.default, x, shape)


@operator("Flatten")
def _flatten(node: Node) -> Any:
    x = node.x()
    rank = len(x.shape)
    axis = node.attr("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if axis == 1 and rank > 1:
        return node.call(aten.flatten.using_ints, x, 1)
    head = 1
    for n in x.shape[:axis]:
        head *= n
    return node.call(aten.reshape.default, x, [head, -1] if head and 0 not in x.shape else [head, 0])


@operator("Transpose")
def _transpose(node: Node) -> Any:
    rank = len(node.x().shape)
    return node.call(aten.permute.default, node.x(), node.attr("perm") or list(reversed(range(rank))))


@operator("Squeeze")
def _squeeze(node: Node) -> Any:
    x, axes = node.x(), node.ints("axes", 1)
    if axes is None:
        axes = [d for d, n in enumerate(x.shape) if n == 1]
    if wide := [d for d in axes if x.shape[d] != 1]:
        raise node.refuse(f"squeezing dimension {wide[0]} of {list(x.shape)}")
    return node.call(aten.squeeze.dims, x, axes)


@operator("Unsqueeze")
def _unsqueeze(node: Node) -> Any:
    x, axes = node.x(), node.ints("axes", 1) or []
    rank = len(x.shape) + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = node.call(aten.unsqueeze.default, x, axis)
    return x


@operator("Concat")
def _concat(node: Node) -> Any:
    operands = [node.x(k) for k in range(len(node.inputs))]
    return node.call(aten.cat.default, operands, node.attr("axis", 1)) if len(operands) > 1 else operands[0]


@operator("Split")
def _split(node: Node) -> Any:
    x, axis = node.x(), node.attr("axis", 0)
    sizes = node.ints("split", 1)
    if sizes is None:
        count = len(node.outputs)
        if node.attr("num_outputs", count) != count:
            raise node.refuse(f"a split into {node.attr('num_outputs')} parts, of which {count} have names,")
        step = -(-x.shape[axis] // count)
        whole = x.shape[axis]
        sizes = [max(min(step, whole - k * step), 0) for k in range(count)]
    return tuple(node.call(aten.split_with_sizes.default, x, sizes, axis))


@operator("Slice", since=10)
def _slice(node: Node) -> Any:
    x = node.x()
    starts, ends = node.ints("starts", 1) or [], node.ints("ends", 2) or []
    return _cut(node, x, starts, ends, node.ints("axes", 3), node.ints("steps", 4))


@operator("Slice")
def _slice_by_attributes(node: Node) -> Any:
    return _cut(node, node.x(), node.attr("starts"), node.attr("ends"), node.attr("axes"), None)


def _cut(
    node: Node, x: Any, starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int] | None
) -> Any:
    """Slices one dimension after the other; a negative step turns the dimension round first."""
    axes, steps = axes or list(range(len(starts))), steps or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        first, last, _ = slice(start, end, step).indices(size)
        if step < 0:
            x = node.call(aten.flip.default, x, [axis])
            first, last, stride = size - 1 - first, size - 1 - last, -step
        else:
            stride = step
        if (first, last, stride) != (0, size, 1):
            x = node.call(aten.slice.Tensor, x, axis, first, max(last, first), stride)
    return x


@operator("Expand")
def _expand(node: Node) -> Any:
    x, shape = node.x(), node.ints("shape", 1) or []
    full = np.broadcast_shapes(tuple(x.shape), tuple(shape))
    return x if tuple(x.shape) == tuple(full) else node.call(aten.expand.default, x, list(full))


@operator("Tile", since=6)
def _tile(node: Node) -> Any:
    return node.call(aten.repeat.default, node.x(), node.ints("repeats", 1) or [])


_MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@operator("Pad")
def _pad(node: Node) -> Any:
    x = node.x()
    rank = len(x.shape)
    pads = node.ints("pads", 1) or []
    axes = node.ints("axes", 3) if "pads" not in node.attributes else None
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes if axes is not None else range(rank)):
        before[axis], after[axis] = pads[k], pads[k + len(pads) // 2]
    mode = node.attr("mode", "constant")
    if mode == "constant":
        value = node.numbers(2).item() if node.has(2) else node.attr("value", 0.0)
        flat = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
        return node.call(aten.constant_pad_nd.default, x, flat, value)
    for axis in range(rank):
        if before[axis] or after[axis]:
            places = _places(mode, x.shape[axis], before[axis], after[axis])
            x = node.call(aten.index_select.default, x, axis, places)
    return x


def _places(mode: str, size: int, before: int, after: int) -> torch.Tensor:
    """Which position each position of the padded dimension repeats."""
    places = torch.arange(-before, size + after)
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    period = max(2 * (size - 1), 1)
    places = places % period
    return torch.where(places < size, places, period - places)


@operator("DepthToSpace")
def _depth_to_space(node: Node) -> Any:
    x, block = node.x(), node.attr("blocksize")
    if node.attr("mode", "DCR") == "CRD":
        return node.call(aten.pixel_shuffle.default, x, block)
    n, c, h, w = x.shape
    parts = node.call(aten.reshape.default, x, [n, block, block, c // block**2, h, w])
    parts = node.call(aten.permute.default, parts, [0, 3, 4, 1, 5, 2])
    return node.call(aten.reshape.default, parts, [n, c // block**2, h * block, w * block])


@operator("SpaceToDepth")
def _space_to_depth(node: Node) -> Any:
    x, block = node.x(), node.attr("blocksize")
    n, c, h, w = x.shape
    parts = node.call(aten.reshape.default, x, [n, c, h // block, block, w // block, block])
    order = [0, 3, 5, 1, 2, 4] if node.attr("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4]
    parts = node.call(aten.permute.default, parts, order)
    return node.call(aten.reshape.default, parts, [n, c * block**2, h // block, w // block])


@operator("Trilu")
def _trilu(node: Node) -> Any:
    diagonal = int(node.numbers(1)) if node.has(1) else 0
    target = aten.triu.default if node.attr("upper", 1) else aten.tril.default
    return node.call(target, node.x(), diagonal)


@operator("ReverseSequence")
def _reverse_sequence(node: Node) -> Any:
    x, lengths = node.x(), node.numbers(1)
    batch, time = node.attr("batch_axis", 1), node.attr("time_axis", 0)
    places = torch.arange(x.shape[time]).repeat(x.shape[batch], 1)
    turned = lengths.reshape(-1, 1) - 1 - places
    places = torch.where(turned >= 0, turned, places)  # [batch, time]
    if batch > time:
        places = places.t()
    shape = [x.shape[d] if d in (batch, time) else 1 for d in range(len(x.shape))]
    return node.call(aten.gather.default, x, time, places.reshape(shape).expand(tuple(x.shape)))
