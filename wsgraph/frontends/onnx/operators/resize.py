"""Interpolation: torch's own where it means the same, a matrix a dimension otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.frontends.onnx.operators.sampling import Sampling, weights
from wsgraph.frontends.onnx.private_aten import NEAREST_EXACT_2D
from wsgraph.frontends.onnx.registry import operator

if TYPE_CHECKING:
    from wsgraph.frontends.onnx.node import Node

__all__: list[str] = []

aten = torch.ops.aten

_NEAREST = {1: aten.upsample_nearest1d.vec, 2: aten.upsample_nearest2d.vec, 3: aten.upsample_nearest3d.vec}
_LINEAR = {1: aten.upsample_linear1d.vec, 2: aten.upsample_bilinear2d.vec, 3: aten.upsample_trilinear3d.vec}
_CUBIC = {2: aten.upsample_bicubic2d.vec}
_TORCH_CUBIC = -0.75
"""Torch's coefficient of cubic interpolation."""

_NEAREST_TWINS = {
    ("asymmetric", "floor"): _NEAREST,
    ("half_pixel", "round_prefer_ceil"): {2: NEAREST_EXACT_2D},
}


@operator("Resize", since=11)
def _resize(node: Node) -> Any:
    x = node.x()
    scales, sizes = _given(node, 2), _given(node, 3)
    axes = node.attr("axes") or list(range(len(x.shape)))
    axes = [a % len(x.shape) for a in axes]
    roi = node.numbers(1).tolist() if node.has(1) else []
    if sizes is not None:
        targets = _with_aspect(node, [int(s) for s in sizes], axes)
        factors = [t / x.shape[a] for t, a in zip(targets, axes, strict=True)]
        kept = _kept_factor(node, [int(s) for s in sizes], axes)
        factors = factors if kept is None else [kept] * len(axes)
    else:
        factors = [float(s) for s in scales or []]
        targets = [int(x.shape[a] * f) for a, f in zip(axes, factors, strict=True)]
    sampling = Sampling(
        mode=node.attr("mode", "nearest"),
        transform=node.attr("coordinate_transformation_mode", "half_pixel"),
        rounding=node.attr("nearest_mode", "round_prefer_floor"),
        cubic=node.attr("cubic_coeff_a", -0.75),
        antialias=bool(node.attr("antialias", 0)),
        exclude_outside=bool(node.attr("exclude_outside", 0)),
        fill=node.attr("extrapolation_value", 0.0),
    )
    return _resampled(
        node,
        x,
        sampling,
        dict(zip(axes, zip(targets, factors, strict=True), strict=True)),
        _regions(roi, axes),
    )


@operator("Upsample", "Resize")
def _upsample(node: Node) -> Any:
    """The older operators: coordinates are scaled from the corner, and rounded down."""
    x = node.x()
    factors = node.attr("scales") or [float(s) for s in node.numbers(1)]
    targets = [int(n * f) for n, f in zip(x.shape, factors, strict=True)]
    sampling = Sampling(mode=node.attr("mode", "nearest"), transform="asymmetric", rounding="floor")
    return _resampled(node, x, sampling, dict(enumerate(zip(targets, factors, strict=True))), {})


def _given(node: Node, position: int) -> list[float] | None:
    if not node.has(position) or 0 in node.x(position).shape:
        return None
    return [float(v) for v in node.numbers(position).tolist()]


def _regions(roi: list[float], axes: list[int]) -> dict[int, tuple[float, float]]:
    half = len(roi) // 2
    return {a: (roi[k], roi[k + half]) for k, a in enumerate(axes)} if roi else {}


def _kept_factor(node: Node, sizes: list[int], axes: list[int]) -> float | None:
    """The one factor of all dimensions where the aspect ratio is kept."""
    policy = node.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return None
    factors = [s / node.x().shape[a] for s, a in zip(sizes, axes, strict=True)]
    return min(factors) if policy == "not_larger" else max(factors)


def _with_aspect(node: Node, sizes: list[int], axes: list[int]) -> list[int]:
    factor = _kept_factor(node, sizes, axes)
    return sizes if factor is None else [int(factor * node.x().shape[a] + 0.5) for a in axes]


def _resampled(
    node: Node,
    x: Any,
    sampling: Sampling,
    plan: dict[int, tuple[int, float]],
    regions: dict[int, tuple[float, float]],
) -> Any:
    """Resample dimensions; ``plan`` has each one's new size and its factor."""
    changed = {a: p for a, p in plan.items() if p != (x.shape[a], 1.0) or a in regions}
    twin = _torch_twin(sampling, x, changed)
    if twin is not None and sampling.transform == "align_corners" and not _whole(x, changed):
        twin = None  # torch counts from corner to corner of the result, ONNX of the scaled input
    if twin is not None:
        spatial = len(x.shape) - 2
        sizes = [plan[d + 2][0] if d + 2 in plan else x.shape[d + 2] for d in range(spatial)]
        factors = [plan[d + 2][1] if d + 2 in plan else 1.0 for d in range(spatial)]
        exact = all(s == n * f for s, n, f in zip(sizes, x.shape[2:], factors, strict=True))
        return node.call(twin[0], x, sizes if exact else None, *twin[1:], None if exact else factors)
    for axis, (size, factor) in changed.items():
        region = regions.get(axis)
        if sampling.transform == "tf_crop_and_resize" and region == (0.0, 1.0) and size == x.shape[axis]:
            continue
        matrix, bias = weights(sampling, x.shape[axis], size, factor, region)
        moved = node.call(aten.transpose.int, x, axis, -1)
        moved = node.call(aten.matmul.default, moved, matrix.t().to(x.dtype).contiguous())
        if bias.any():
            moved = node.call(aten.add.Tensor, moved, bias.to(x.dtype))
        x = node.call(aten.transpose.int, moved, axis, -1)
    return x


def _whole(x: Any, changed: dict[int, tuple[int, float]]) -> bool:
    return all(size == x.shape[axis] * factor for axis, (size, factor) in changed.items())


def _torch_twin(sampling: Sampling, x: Any, changed: dict[int, Any]) -> tuple[Any, ...] | None:
    """Torch's operator and its middle arguments, or None where ONNX's coordinates differ."""
    spatial = len(x.shape) - 2
    if any(axis < 2 for axis in changed) or sampling.antialias or sampling.exclude_outside:
        return None
    if sampling.mode == "nearest":
        target = _NEAREST_TWINS.get((sampling.transform, sampling.rounding), {}).get(spatial)
        return None if target is None else (target,)
    halves = sampling.transform == "half_pixel" or (
        sampling.transform == "pytorch_half_pixel" and all(size > 1 for size, _ in changed.values())
    )
    if not halves and sampling.transform != "align_corners":
        return None
    smooth = _LINEAR if sampling.mode == "linear" else _CUBIC if sampling.cubic == _TORCH_CUBIC else {}
    return (smooth[spatial], not halves) if spatial in smooth else None


_GRID_MODES = {"bilinear": 0, "linear": 0, "nearest": 1, "bicubic": 2, "cubic": 2}
_GRID_PADDING = {"zeros": 0, "border": 1, "reflection": 2}


@operator("GridSample")
def _grid_sample(node: Node) -> Any:
    mode = _GRID_MODES[node.attr("mode", "bilinear")]
    padding = _GRID_PADDING[node.attr("padding_mode", "zeros")]
    tail = (mode, padding, bool(node.attr("align_corners", 0)))
    rank = len(node.x(0).shape) - 2
    if rank not in (2, 3) or (rank == 3 and mode == 2):
        raise node.refuse(f"{node.attr('mode')} sampling over {rank} dimensions")
    target = aten.grid_sampler_2d.default if rank == 2 else aten.grid_sampler_3d.default
    return node.call(target, node.x(0), node.x(1), *tail)
