"""Blocks whose nodes turn out to have several roles are split: a fused qkv projection into q, k and v."""

from __future__ import annotations

import torch
from torch import Tensor

from wsgraph.events.blocks import Learned, Pattern
from wsgraph.lowering.builder import Edges, GraphBuilder, Nodes
from wsgraph.provenance.params import ParamValue

__all__ = ["split_blocks"]


def split_blocks(builder: GraphBuilder) -> None:
    """Give each block the role its nodes were marked with, and split those with several."""
    names: list[str] = ["", *dict.fromkeys(role for role, _ in builder.roles)]
    marks = torch.zeros(builder.num_nodes, dtype=torch.int64)
    for role, ids in builder.roles:
        fresh = ids[marks[ids] == 0]
        marks[fresh] = names.index(role)
    changed = False
    for block in list(builder.blocks):
        if block.attrs.get("role") not in ("hidden", "sum", "product"):
            continue
        own = marks[block.ids]
        present = torch.unique(own).tolist()
        if present == [0]:
            continue
        if len(present) == 1:
            block.attrs["role"] = names[present[0]]
            continue
        if block.attrs["role"] != "hidden":
            continue
        parts = [(names[m] or "hidden", (own == m).nonzero().flatten()) for m in _in_order(own)]
        _split(builder, block, parts)
        changed = True
    if changed:
        builder.renumber()


def _in_order(marks: Tensor) -> list[int]:
    return list(dict.fromkeys(marks.tolist()))


def _split(builder: GraphBuilder, block: Nodes, parts: list[tuple[str, Tensor]]) -> None:
    made: list[Nodes] = []
    for role, rows in parts:
        features = {name: view.select(0, rows) for name, view in block.features.items()}
        attrs = {**block.attrs, "role": role}
        members = block.ids[rows]
        made.append(Nodes(block.number, -1, len(rows), block.t, features, attrs, block.used, members))
    at = builder.blocks.index(block)
    builder.blocks[at : at + 1] = made
    edges = []
    for edge in builder.edges:
        if edge.dst is not block:
            edges.append(edge)
            continue
        edges.extend(_rows(edge, part, rows) for part, (_, rows) in zip(made, parts, strict=True))
    builder.edges = [e for e in edges if e.shape[0]]


def _rows(edge: Edges, dst: Nodes, rows: Tensor) -> Edges:
    """The part of an edge block that goes to some rows of its destination."""
    if edge.pattern is Pattern.DENSE:
        feature = _select(edge, 0, rows)
        return _like(edge, edge.src, dst, edge.pattern, (len(rows), *edge.shape[1:]), feature)
    if edge.pattern is Pattern.ONE_TO_ONE:
        feature = _select(edge, 0, rows)
        return _like(edge, edge.src[rows], dst, edge.pattern, (len(rows), edge.shape[1]), feature)
    if edge.pattern is Pattern.GROUPED:
        return _grouped_rows(edge, dst, rows)
    assert edge.coo is not None
    new_row = torch.full((int(edge.dst.size),), -1, dtype=torch.int64)
    new_row[rows] = torch.arange(len(rows))
    picked = (new_row[edge.coo[1]] >= 0).nonzero().flatten()
    coo = torch.stack([edge.coo[0][picked], new_row[edge.coo[1][picked]]])
    shape = (len(picked), edge.shape[1])
    return _like(edge, edge.src, dst, edge.pattern, shape, _select(edge, 0, picked), coo)


def _grouped_rows(edge: Edges, dst: Nodes, rows: Tensor) -> Edges:
    groups, per_group, width, m = edge.shape
    shape: tuple[int, ...]
    wanted = torch.unique(rows // per_group)
    if len(wanted) * per_group == len(rows):
        src = edge.src.view(groups, width)[wanted].reshape(-1)
        shape = (len(wanted), per_group, width, m)
        return _like(edge, src, dst, edge.pattern, shape, _select(edge, 0, wanted))
    src = edge.src.view(groups, width)
    inputs = (rows // per_group).unsqueeze(-1) * width + torch.arange(width)
    coo = torch.stack([inputs.reshape(-1), torch.arange(len(rows)).repeat_interleave(width)])
    shape = (len(rows) * width, m)
    feature = edge.feature
    if isinstance(feature, ParamValue):
        feature = feature.reshape(groups * per_group, width * m).select(0, rows).reshape(*shape)
    return _like(edge, src.reshape(-1), dst, Pattern.INDEXED, shape, feature, coo)


def _select(edge: Edges, dim: int, positions: Tensor) -> ParamValue | Learned:
    feature = edge.feature
    return feature.select(dim, positions) if isinstance(feature, ParamValue) else feature


def _like(
    edge: Edges,
    src: Tensor,
    dst: Nodes,
    pattern: Pattern,
    shape: tuple[int, ...],
    feature: ParamValue | Learned,
    coo: Tensor | None = None,
) -> Edges:
    return Edges(src, dst, pattern, shape, feature, dict(edge.attrs), edge.op, coo)
